/**
 * Every kind of violation, by its name, with what it means for whoever reads the table. A table that has one
 * breaks a promise; what only limits what can be checked is a note, what is merely worth knowing a fact.
 */
export const VIOLATIONS = {
  // Rows and rejects.
  'missing offsets': 'neither a row nor a reject nor counted as filtered: records were lost',
  'of these missing, by commit': 'the same, by the commit that should have brought them',
  'doubled rows': 'one offset is several rows: records were taken twice',
  'doubled rejects': 'one offset is several rejects: records were refused twice',
  'both row and reject': 'one offset is a row and a dead letter: it was judged twice',
  'rows at or beyond the position': 'rows that the next commit will bring again',
  'rejects at or beyond the position': 'dead letters that the next commit will bring again',
  'rows before the first offset taken': 'rows of offsets that the pipeline never read',
  'rejects before the first offset taken': 'dead letters of offsets that the pipeline never read',
  'rows outside the range of their commit': 'a commit added rows that it does not account for',
  'rejects outside the range of their commit': 'a commit added dead letters that it does not claim',
  'offsets counted as filtered, but in the table': 'the count of filtered offsets is too high',
  'of these in the table, by commit': 'the same, by the commit that counted them',
  'partitions whose rejects differ from the count':
    'the dead-letter table lacks rejects of the events table, or has others',
  'commits whose count differs': 'a commit brought fewer or more rows or rejects than it recorded',

  // Commits.
  'gaps between commits':
    'a commit starts behind the end of the one before it: offsets were skipped',
  'overlaps between commits':
    'a commit starts before the end of the one before it: offsets were taken twice',
  'ranges outside the position': 'a commit took offsets that the recorded position does not cover',
  'positions that differ from the range': "a commit's position is not where its ranges end",
  'totals that do not add up':
    'position, filtered or rejects of a commit are not those before it and its own together',
  'properties that differ from the newest commit':
    'the table property and the newest commit must be written by one request',
  'commits of another log':
    'commits of one pipeline whose offsets count in different clusters or topics',
  'snapshot counts that differ': 'the snapshot says that it added other rows than the commit',
  'tables that were rolled back':
    'the position is newer than the current snapshot: roll forward again, or accept it with "tributary run --accept-rollback"',
  'tables that were recreated':
    'the dead-letter table knows commits of the pipeline that this events table never had',

  // Files.
  'missing manifest lists': 'a snapshot cannot be read: its manifest list is gone',
  'unreadable manifest lists': 'a snapshot cannot be read: its manifest list is damaged',
  'missing manifests': 'the files of a manifest cannot be found: it is gone',
  'unreadable manifests': 'the files of a manifest cannot be found: it is damaged',
  'manifest counts that differ': 'a manifest has other files or rows than its manifest list says',
  'manifests of another size': 'a manifest is shorter or longer than its manifest list says',
  'manifests listed twice': 'their files are read twice by every query',
  'files referenced twice': 'their rows are read twice by every query',
  'missing data files':
    'queries fail once caches are cold: a file that the table lists is not in the object store',
  'data files of another size': 'queries fail or lose rows: a file was cut or overwritten',
  'unreadable data files': 'queries fail: a file is damaged; its rows count as missing',
  'record counts that differ from the file': 'engines that count by metadata answer wrongly',
  'bounds that do not hold': 'queries that prune by bounds miss rows',
  'partition values that do not hold': 'queries that prune by partition miss rows',
  'snapshot totals that differ': "the current snapshot's totals are not those of its files",
  'files of older snapshots that are missing': 'time travel and roll-back to them fail',

  // The log.
  'topics that are missing': 'the position counts in a topic that is not there',
  'another Kafka cluster': "the position's offsets mean nothing in this cluster",
  'topics that were recreated': "the position's offsets mean nothing in the new topic",
  'positions beyond the end of the log': 'the log has lost records that were committed',
  'positions below the start of the log': 'records were deleted before they were read',
  'records that are neither row nor reject': 'visible in the log, but counted as filtered',
  'rows and rejects without a record': 'made of an offset that is no visible record of the log',
  'change topics that were recreated':
    'the dimension positions of the newest commit count in a topic that is gone',
  'dimension positions beyond the end of the log':
    'a join recorded changes that its topic does not have',

  // The second join and the generator's ledger.
  'wrong joins': 'an enriched value is not what an independent replay gives',
  'missing clicks': 'a produced click that is no row',
  'missing rejects': 'a record that was produced corrupt is no reject',
  'doubled clicks': 'a produced click that is several rows',
  'wrong rows': 'a row has other values than its click was produced with',
  'wrong rejects': 'a reject of another kind than the record was made to become',
} as const satisfies Record<string, string>;

/** The name of a violation. */
export type ViolationKind = keyof typeof VIOLATIONS;

import type { Incompatibility } from './avro-compatibility.ts';
import type { LevelBreak } from './compatibility-level.ts';
import type { ContractFinding } from './contract-finding.ts';

type Words = Pick<ContractFinding, 'message' | 'instead'>;

const otherField = 'keep the field as it is and add one with the new type under another name';
const widening = '; numbers may be widened: int, long, float, double in this order';
const numbers: ReadonlySet<string> = new Set(['int', 'long', 'float', 'double']);

/** A break in plain words: what changed, whom it stops, and how the aim is reached without it. */
export function explainIncompatibility({ against, breaks, found }: LevelBreak): ContractFinding {
  const words = breaks === 'old data' ? forOldData(found) : forOldReaders(found);
  return { severity: 'breaking', breaks, field: found.path, rule: found.rule, against, ...words };
}

/** The new contract is the reader. */
function forOldData(found: Incompatibility): Words {
  switch (found.rule) {
    case 'type':
    case 'union-branch':
      return oldDataOfType(found);
    case 'missing-default':
      return {
        message: 'is new and has no default, and old records lack it',
        instead:
          'give it a default, such as "type": ["null", ...], "default": null; if it is an old field with a new name, ' +
          'put the old name into its "aliases"',
      };
    case 'ambiguous-alias':
      return {
        message: `stands for several fields of old records: ${found.fields.join(' and ')}`,
        instead: 'take the names of fields that were beside each other out of its "aliases"',
      };
    case 'name':
      return {
        message: `was named ${found.writer} and is named ${found.reader} now`,
        instead: `keep the name, or add "aliases": ["${found.writer}"]`,
      };
    case 'enum-symbols':
      return {
        message: `has lost ${listed(found.missing)}, and old records may hold it`,
        instead:
          'keep the symbols, or give the enum a "default" that stands for those that are gone',
      };
    case 'fixed-size':
      return {
        message: `has ${found.reader} bytes now, and in old records ${found.writer}`,
        instead: otherField,
      };
  }
}

function oldDataOfType({ reader, writer }: { reader: string; writer: string }): Words {
  if (writer === 'null') {
    return {
      message: 'may not be null any more, and old records may hold null',
      instead: 'keep it optional, or add a required field with a default under another name',
    };
  }
  const bothNumbers = numbers.has(reader) && numbers.has(writer);
  return {
    message: `is ${reader} now, and ${writer} in old records, which cannot be read as that`,
    instead: bothNumbers ? otherField + widening : otherField,
  };
}

/** The new contract is the writer. */
function forOldReaders(found: Incompatibility): Words {
  switch (found.rule) {
    case 'type':
    case 'union-branch':
      return oldReadersOfType(found);
    case 'missing-default':
      return {
        message: 'is gone, and old readers need it: they know no default for it',
        instead:
          'keep the field; to remove or rename it, first publish a version in which it has a default, and wait until ' +
          'every reader has that one',
      };
    case 'ambiguous-alias':
      return {
        message: `stands for several new fields where old readers look: ${found.fields.join(' and ')}`,
        instead: 'give the new field a name that is not among the "aliases" of old versions',
      };
    case 'name':
      return {
        message: `is named ${found.writer} now, and old readers know ${found.reader} alone`,
        instead: 'keep the name',
      };
    case 'enum-symbols':
      return {
        message: `has got ${listed(found.missing)}, which old readers do not know`,
        instead:
          'first publish a version in which the enum has a "default", and wait until every reader has that one: it ' +
          'stands for symbols that they do not know',
      };
    case 'fixed-size':
      return {
        message: `has ${found.writer} bytes now, and old readers take ${found.reader}`,
        instead: otherField,
      };
  }
}

function oldReadersOfType({ reader, writer }: { reader: string; writer: string }): Words {
  if (writer === 'null') {
    return {
      message: 'may be null now, and old readers do not take null',
      instead: 'keep it required, or add an optional field under another name',
    };
  }
  return {
    message: `is ${writer} now, and old readers take ${reader}`,
    instead: otherField,
  };
}

function listed(symbols: readonly string[]): string {
  return `${symbols.length === 1 ? 'the symbol' : 'the symbols'} ${symbols.join(', ')}`;
}

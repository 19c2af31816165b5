/** What a change of a contract does to somebody, in words for whoever makes it. */
export type ContractFinding = {
  /** A note tells what follows from a change that breaks nobody. */
  severity: 'breaking' | 'note';
  breaks: 'old data' | 'old readers' | 'the table' | 'the dimension' | 'nobody';
  /** The field with those that it stands in, such as `address.city`, `tags[]`; empty for the contract itself. */
  field: string;
  rule: string;
  /** What was held against: `version 3`, `main`, `the catalog`. */
  against: string;
  message: string;
  /** How the aim is reached without the break; empty where there is nothing to do. */
  instead: string;
};

import { open } from 'node:fs/promises';
import { GenerateError } from './error.ts';

/** A file that grows line by line and may be continued by a later run. */
export type AppendFile = {
  /** With the operating system when it resolves: a kill of this process loses nothing of it. */
  line(text: string): Promise<void>;
  close(): Promise<void>;
};

/** Opens the file, making it unless it exists. Errors: `config` where that cannot be. */
export async function openAppendFile(path: string): Promise<AppendFile> {
  const file = await open(path, 'a').catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GenerateError('config', `cannot write to ${path}: ${reason}`, { cause });
  });
  return {
    line: async (text) => {
      await file.write(`${text}\n`);
    },
    close: () => file.close(),
  };
}

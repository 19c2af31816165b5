import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { ImageMark } from './change-journal.ts';
import type { DimensionDefinition } from './dimension-record.ts';
import { imagePieces, readImage } from './projection-image.ts';
import type { ImageSubject } from './projection-image.ts';
import type { ProjectionFiles } from './projection-files.ts';
import type { SharedWords } from './shared-memory.ts';

/** What images are kept with; where there is none, a projection is always built by a scan. */
export type ProjectionImages = {
  files: ProjectionFiles;
  clock: Pick<Clock, 'elapsedMs' | 'newId'>;
  logger: Logger;
  /**
   * An image is renewed once so many keys have changed, or, of a large dimension, up to three times as many. Default:
   * as many as are read again in about two seconds.
   */
  journalKeysMax?: number;
};

/** So many keys of a journal are read again in about two seconds, and take 45 MB of heap meanwhile. */
const JOURNAL_KEYS_MAX = 200_000;
/** To renew the image of a large dimension costs more, and so more keys may change before: this share of its rows. */
const JOURNAL_SHARE_MAX = 1 / 50;
const DUE_FACTOR_MAX = 3;
/** With so many times the keys a journal is given up: a start must not need memory for whatever has changed. */
const SPENT_FACTOR = 4;
/** An image is written this many times as long after another as that one took, so that most time is for changes. */
const PAUSE_FACTOR = 20;
/** To read a key of the journal again costs as much as to write so many bytes of an image. */
const BYTES_A_KEY = 2_048;
const RETRY_AFTER_MS = 600_000;

/** The file of one dimension's projection: when one is due, how it is written and read. */
export class DimensionImage {
  readonly #images: ProjectionImages;
  readonly #definition: DimensionDefinition;
  readonly #keysMax: number;
  #isWanted = false;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(images: ProjectionImages, definition: DimensionDefinition) {
    this.#images = images;
    this.#keysMax = images.journalKeysMax ?? JOURNAL_KEYS_MAX;
    this.#definition = definition;
  }

  /** From now on images are written: the first load, which would pay for a journal, is over. */
  want(): void {
    this.#isWanted = true;
  }

  /** Whether an image should be written now, while the pipeline goes on. */
  isDue(mark: ImageMark | undefined, rows: number): boolean {
    if (!this.#isWanted || this.#images.clock.elapsedMs() < this.#notBeforeMs) return false;
    const share = Math.min(rows * JOURNAL_SHARE_MAX, DUE_FACTOR_MAX * this.#keysMax);
    return mark === undefined || mark.keys > Math.max(this.#keysMax, share);
  }

  /** Whether to write an image at a stop costs less than the next start would without it. */
  isWorthIt(mark: ImageMark | undefined, bytes: number): boolean {
    return this.#isWanted && (mark === undefined || mark.keys * BYTES_A_KEY > bytes);
  }

  /** The journal is longer than a start may read (INVARIANTS.md 12): image and journal are no use any more. */
  isSpent({ keys }: ImageMark): boolean {
    return keys > SPENT_FACTOR * this.#keysMax;
  }

  /**
   * Writes an image of these arrays under a new id; `onProgress` is called at each piece. Undefined where it cannot be
   * written, which is told.
   */
  async write(arrays: readonly SharedWords[], onProgress: () => void): Promise<string | undefined> {
    const { files, clock, logger } = this.#images;
    const { name: dimension } = this.#definition;
    const startedMs = clock.elapsedMs();
    const id = clock.newId();
    try {
      await files.write(id, telling(imagePieces(this.#subject(id), arrays), onProgress));
    } catch (error) {
      this.#notBeforeMs = clock.elapsedMs() + RETRY_AFTER_MS;
      logger.warn('a projection cannot be saved: the next start reads all rows of the dimension', {
        dimension,
        error,
      });
      return undefined;
    }
    const bytes = arrays.reduce((sum, { length }) => sum + length * 4, 0);
    const tookMs = clock.elapsedMs() - startedMs;
    this.#notBeforeMs = clock.elapsedMs() + PAUSE_FACTOR * tookMs;
    logger.info('projection saved', { dimension, bytes, seconds: tookMs / 1000 });
    return id;
  }

  /** Reads an image into new arrays. Throws what keeps it from being used. */
  async read(id: string, arrays: readonly SharedWords[]): Promise<void> {
    const file = await this.#images.files.open(id);
    if (file === undefined) throw new Error('the file is missing');
    try {
      await readImage(file, this.#subject(id), arrays);
    } finally {
      await file.close();
    }
  }

  /** Removes an image that nothing refers to; what cannot be removed now is removed at the next start. */
  async remove(id: string): Promise<void> {
    await Promise.allSettled([this.#images.files.remove(id)]);
  }

  tellRead(fields: { rows: number; keys: number; startedMs: number }): void {
    const { clock, logger } = this.#images;
    const { rows, keys, startedMs } = fields;
    const seconds = (clock.elapsedMs() - startedMs) / 1000;
    const { name: dimension } = this.#definition;
    logger.info('projection read from its file', { dimension, rows, changedSince: keys, seconds });
  }

  tellUnusable(error: unknown): void {
    this.#images.logger.warn(
      'a saved projection cannot be used: all rows of the dimension are read',
      {
        dimension: this.#definition.name,
        error,
      },
    );
  }

  elapsedMs(): number {
    return this.#images.clock.elapsedMs();
  }

  #subject(id: string): ImageSubject {
    const { name, primaryKey, joinKey, joinKeyType, normaliser, columns } = this.#definition;
    const keys = { primaryKey, joinKey, joinKeyType, normaliser };
    return { id, dimension: name, keys, columns };
  }
}

async function* telling<T>(pieces: AsyncIterable<T>, onProgress: () => void): AsyncGenerator<T> {
  for await (const piece of pieces) {
    onProgress();
    yield piece;
  }
}

import { defineConfig } from 'vitest/config';

/** `unit` needs nothing; `stack` needs the real components, which its global set-up starts once. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts', 'test/**/*.property.test.ts'],
          exclude: ['test/**/*.stack.test.ts', 'node_modules/**', '.stack/**'],
        },
      },
      {
        test: {
          name: 'stack',
          include: ['test/**/*.stack.test.ts'],
          globalSetup: ['test/stack/global-setup.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});

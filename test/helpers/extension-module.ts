import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'

/** Files in a folder of their own outside of this package, until the test ends. @returns the folder */
export async function writeFolder(t: Test, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-extension-'))
  t.teardown(() => rm(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

/** A module for EXTENSIONS. @returns its path */
export const writeExtension = async (t: Test, source: string): Promise<string> =>
  join(await writeFolder(t, { 'extension.ts': source }), 'extension.ts')

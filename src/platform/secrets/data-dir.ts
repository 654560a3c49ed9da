import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Reads a secret from a file of the data folder, making it first when it is missing. Several processes may
 * do so at once: one of them makes it, and all get the same.
 *
 * @param make gives the content of a new file
 */
export async function keepSecret(
  dataDir: string,
  name: string,
  make: () => string | Promise<string>,
): Promise<string> {
  const file = join(dataDir, name)
  const kept = await readSecret(file)
  if (kept !== undefined) return kept
  await mkdir(dataDir, { recursive: true })
  const made = await make()
  try {
    await writeFile(file, `${made}\n`, { flag: 'wx', mode: 0o600 })
    return made
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return (await readSecret(file)) ?? made
  }
}

/** @returns undefined when there is no such file, or an empty one that a killed process left */
export async function readSecret(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trim() || undefined
}

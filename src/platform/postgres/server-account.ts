import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Who the embedded server runs as. Postgres refuses to run as root; anyone else runs it as themselves. */
export interface ServerAccount {
  uid?: number
  gid?: number
}

const ACCOUNT = 'postgres'
const SETPRIV = '/usr/bin/setpriv'

/**
 * The account for the embedded server: for root the system's `postgres` account, created when it is missing.
 *
 * @throws Error saying what to do when it cannot be created
 */
export async function serverAccount(): Promise<ServerAccount> {
  if (process.getuid?.() !== 0) return {}
  try {
    return await lookUp()
  } catch {
    // not there yet
  }
  try {
    await run('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      ACCOUNT,
    ])
    return await lookUp()
  } catch (error) {
    throw new Error(
      `Postgres does not run as root, and the account "${ACCOUNT}" could not be created. Start Heliograph as another user, or set DATABASE_URL.`,
      { cause: error },
    )
  }
}

async function lookUp(): Promise<ServerAccount> {
  const [uid, gid] = await Promise.all([run('id', ['-u', ACCOUNT]), run('id', ['-g', ACCOUNT])])
  return { uid: Number(uid), gid: Number(gid) }
}

/**
 * The command line that runs a program as the account.
 *
 * `setpriv` changes the user and keeps one capability, passing file permissions, without which the server
 * could not reach a checkout under /root, which only root may enter. (The secure bit makes access(2) honour
 * it.)
 */
export function asServerAccount(account: ServerAccount, program: string, args: string[]): [string, string[]] {
  if (account.uid === undefined) return [program, args]
  if (!existsSync(SETPRIV))
    throw new Error(`${SETPRIV} (package util-linux) is missing. Start Heliograph as another user.`)
  return [
    SETPRIV,
    [
      `--reuid=${account.uid}`,
      `--regid=${account.gid}`,
      '--clear-groups',
      '--securebits=+no_setuid_fixup',
      '--inh-caps=+dac_override',
      '--ambient-caps=+dac_override',
      '--',
      program,
      ...args,
    ],
  ]
}

/**
 * Runs a program to its end.
 *
 * @returns its standard output
 * @throws Error with what it printed on standard error, when it fails
 */
export function run(program: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${program} ended with ${signal ?? `code ${code}`}: ${errors.trim()}`))
    })
  })
}

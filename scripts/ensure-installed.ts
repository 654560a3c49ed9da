import { spawnSync } from 'node:child_process'

/** How package managers install without asking, and what they call what we need. */
const MANAGERS = [
  {
    name: 'apt-get',
    install: ['apt-get update -qq', 'apt-get install -y -qq --no-install-recommends'],
    packages: { 'redis-server': 'redis-server' },
  },
  { name: 'dnf', install: ['dnf install -y -q'], packages: { 'redis-server': 'redis' } },
  { name: 'apk', install: ['apk add --quiet'], packages: { 'redis-server': 'redis' } },
  { name: 'brew', install: ['brew install --quiet'], packages: { 'redis-server': 'redis' } },
] as const

type Program = keyof (typeof MANAGERS)[number]['packages']

/**
 * Makes sure that a program the tests need, and npm cannot carry, is installed: installs it with the system's
 * package manager where that takes no password.
 *
 * @throws Error with the one command to run, when it cannot
 */
export async function ensureInstalled(program: Program): Promise<void> {
  if (works('sh', '-c', `command -v ${program}`)) return
  const manager = MANAGERS.find(({ name }) => works('sh', '-c', `command -v ${name}`))
  if (!manager)
    throw new Error(
      `The tests need ${program}, which is not installed. Install it and run \`npm test\` again.`,
    )

  const asRoot = process.getuid?.() === 0 || manager.name === 'brew'
  const commands = manager.install.map((command, index) =>
    index === manager.install.length - 1 ? `${command} ${manager.packages[program]}` : command,
  )
  const withSudo = commands.map((command) => (asRoot ? command : `sudo ${command}`)).join(' && ')
  const mayInstall = asRoot || works('sudo', '-n', 'true')
  if (mayInstall) {
    process.stdout.write(`The tests need ${program}; installing it: ${withSudo}\n`)
    spawnSync('sh', ['-c', withSudo], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
    if (works('sh', '-c', `command -v ${program}`)) return
  }
  throw new Error(
    `The tests need ${program}, which is not installed. Run this, then \`npm test\` again:\n\n  ${withSudo}\n`,
  )
}

const works = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0

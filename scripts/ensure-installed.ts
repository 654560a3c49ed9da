import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'

/** How package managers install without asking, and what they call what we need. */
const MANAGERS = [
  {
    name: 'apt-get',
    install: ['apt-get update -qq', 'apt-get install -y -qq --no-install-recommends'],
    packages: { 'redis-server': 'redis-server', chromium: 'chromium' },
  },
  {
    name: 'dnf',
    install: ['dnf install -y -q'],
    packages: { 'redis-server': 'redis', chromium: 'chromium' },
  },
  { name: 'apk', install: ['apk add --quiet'], packages: { 'redis-server': 'redis', chromium: 'chromium' } },
  {
    name: 'brew',
    install: ['brew install --quiet'],
    packages: { 'redis-server': 'redis', chromium: 'chromium' },
  },
] as const

export type Program = keyof (typeof MANAGERS)[number]['packages']

/** What a program may be called, the best first. */
const EXECUTABLES: Record<Program, readonly string[]> = {
  'redis-server': ['redis-server'],
  chromium: [
    'chromium',
    'chromium-browser',
    'google-chrome',
    'google-chrome-stable',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ],
}

/** Variables that name an executable which is not where it is looked for. */
const VARIABLES: Partial<Record<Program, string>> = { chromium: 'CHROMIUM_PATH' }

const MAX_SCRIPT_BYTES = 65_536
const UBUNTU_ADVICE =
  "Ubuntu's package of chromium is an empty one that asks for a snap. Install the snap (`sudo snap install chromium`) or Google Chrome, or set CHROMIUM_PATH to an executable."

/**
 * Makes sure that programs the tests need, and npm cannot carry, are installed: installs those that are missing,
 * all at once, with the system's package manager where that takes no password.
 *
 * @returns where each of them is
 * @throws Error with the one command to run, when it cannot
 */
export function ensureInstalled<Name extends Program>(programs: readonly Name[]): Record<Name, string> {
  const missing = programs.filter((program) => find(program) === undefined)
  if (missing.length > 0) install(missing)
  return Object.fromEntries(programs.map((program) => [program, find(program)])) as Record<Name, string>
}

function install(missing: readonly Program[]): void {
  const manager = MANAGERS.find(({ name }) => pathOf(name) !== undefined)
  if (!manager) {
    throw new Error(
      `The tests need ${missing.join(' and ')}: not installed. Install it and run \`npm test\` again.`,
    )
  }
  const onUbuntu = manager.name === 'apt-get' && isUbuntu()
  const packaged = missing.filter((program) => !(onUbuntu && program === 'chromium'))
  const asRoot = process.getuid?.() === 0 || manager.name === 'brew'
  const names = packaged.map((program) => manager.packages[program]).join(' ')
  const command = manager.install
    .map((part, index) => (index === manager.install.length - 1 ? `${part} ${names}` : part))
    .map((part) => (asRoot ? part : `sudo ${part}`))
    .join(' && ')
  if (packaged.length > 0 && (asRoot || works('sudo', '-n', 'true'))) {
    process.stdout.write(`The tests need ${packaged.join(' and ')}; installing: ${command}\n`)
    spawnSync('sh', ['-c', command], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  }
  const left = missing.filter((program) => find(program) === undefined)
  if (left.length === 0) return
  const advice = left.some((program) => packaged.includes(program))
    ? `Run this, then \`npm test\` again:\n\n  ${command}\n`
    : ''
  const ubuntuAdvice = onUbuntu && left.includes('chromium') ? UBUNTU_ADVICE : ''
  throw new Error(
    [`The tests need ${left.join(' and ')}: not installed.`, ubuntuAdvice, advice].filter(Boolean).join('\n'),
  )
}

/** @throws Error when a variable names what is no executable */
function find(program: Program): string | undefined {
  const variable = VARIABLES[program]
  const named = variable && process.env[variable]
  if (!named) return EXECUTABLES[program].map(pathOf).find((path) => path !== undefined && !asksForSnap(path))
  const path = pathOf(named)
  if (path === undefined) throw new Error(`${variable} is ${named}, which cannot be run.`)
  return path
}

function pathOf(name: string): string | undefined {
  const folders = name.includes('/') ? ['.'] : (process.env['PATH'] ?? '').split(delimiter)
  return folders.map((folder) => resolve(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Whether it is but a script that asks for a snap which is not there. */
const asksForSnap = (path: string): boolean =>
  statSync(path).size < MAX_SCRIPT_BYTES &&
  readFileSync(path, 'utf8').includes('snap install chromium') &&
  !isExecutable('/snap/bin/chromium')

const isUbuntu = (): boolean =>
  existsSync('/etc/os-release') && /^ID=ubuntu$/m.test(readFileSync('/etc/os-release', 'utf8'))

const works = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0

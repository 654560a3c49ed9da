import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)

t.test('the Node that the scripts run on comes without development dependencies too', async (t) => {
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8'))
  const own = packages['node_modules/node']
  t.match(own, { version: /^24\./, hasInstallScript: true })
  t.notOk(own.dev, 'it is no development dependency')
  const { optionalDependencies, allowScripts } = JSON.parse(await readFile('package.json', 'utf8'))
  t.equal(optionalDependencies.node, own.version)
  t.equal(allowScripts.node, true, 'its script, which brings it, may run')
})

/** A Node of the machine that is too old, where there is one. */
async function oldNode(): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const node = join(folder, 'node')
    if (!existsSync(node)) continue
    const { stdout } = await run(node, ['--version'])
    if (Number(/^v(\d+)/.exec(stdout)?.[1]) < 24) return node
  }
  return undefined
}

const node = await oldNode()

t.test(
  'a Node that is too old is told what to do, in a sentence',
  { skip: node === undefined && 'this machine has none' },
  async (t) => {
    const { code, stdout, stderr } = await run(node as string, ['bin/heliograph.js', 'listen']).catch(
      (error) => error,
    )
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(
      stderr,
      /^Heliograph needs Node 24 or later; this is v\d+\.\d+\.\d+\. One comes with the packages: .+\n$/,
    )
  },
)

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { startProcess, startScript } from '../helpers/processes.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { call } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

t.test('`npm run listen` beside `npm start`, with no configuration', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-listen-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const environment = { DATA_DIR: join(folder, 'data') }
  const service = await startProcess(t, 'all', { ...environment, PORT: '0' })
  const { apiKey } = JSON.parse(await readFile(join(folder, 'data/default-app.json'), 'utf8'))
  const receiver = await startReceiver(t)
  const startListen = (args: string[]) =>
    startScript(t, ['bin/heliograph.js', 'listen', ...args], environment, folder)
  const listening = startListen(['--url', service.url, '--forward', receiver.url])
  await until(() => listening.output.some((line) => line.includes('Connected.')), 'it is connected')

  await call(service.url, 'POST', '/events', { key: apiKey, body: { type: 'demo.greeted', payload: {} } })
  const [received] = await receiver.waitFor(1)
  const secret = /whsec_\S+/.exec(listening.output.join('\n'))?.[0]
  new Webhook(secret!).verify(received!.text, received!.headers as Record<string, string>)
  await until(() => listening.output.some((line) => line.includes('demo.greeted')), 'it says so')

  t.equal(await listening.end('SIGINT'), 0)
  await until(() => listening.output.at(-1) === '1 forwarded, 0 failed.', 'it says how many there were')
  t.notOk(listening.output.join('\n').includes(apiKey), 'the API key is not printed')

  const bad = startListen(['--forward', 'nowhere'])
  t.equal(await bad.exited, 2)
  await until(() => bad.output.some((line) => line.includes('HELIOGRAPH_API_KEY')), 'it has said why')
  t.match(bad.output.join('\n'), /--forward is not an http .*\n\nUsage: npm run listen/)
})

import { once } from 'node:events'
import { WebSocket } from 'ws'
import { request } from 'undici'

/**
 * What a process has on its heap once everything that is not in use any more was collected.
 *
 * @param inspectorPort of a process that was started with `--inspect`
 * @returns MiB
 */
export async function heapInUse(inspectorPort: number): Promise<number> {
  const { body } = await request(`http://127.0.0.1:${inspectorPort}/json/list`)
  const [target] = (await body.json()) as { webSocketDebuggerUrl: string }[]
  const inspector = new WebSocket(target?.webSocketDebuggerUrl as string)
  await once(inspector, 'open')
  let calls = 0
  async function ask(method: string): Promise<Record<string, number>> {
    const id = ++calls
    inspector.send(JSON.stringify({ id, method }))
    for (;;) {
      const [data] = (await once(inspector, 'message')) as [Buffer]
      const answer = JSON.parse(data.toString()) as { id?: number; result: Record<string, number> }
      if (answer.id === id) return answer.result
    }
  }
  try {
    await ask('HeapProfiler.collectGarbage')
    return ((await ask('Runtime.getHeapUsage'))['usedSize'] as number) / 2 ** 20
  } finally {
    inspector.terminate()
  }
}

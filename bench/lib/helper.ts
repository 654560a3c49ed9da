import { fork } from 'node:child_process'
import { join } from 'node:path'
import { supervise, type Process } from './processes.ts'
import type { Answer, Call, Handlers } from './serve.ts'
import type { Scope } from './scope.ts'

const FOLDER = join(import.meta.dirname, '../helpers')

/** A process of `bench/helpers`, whose CPU is not that of the service. */
export interface Helper<H extends Handlers> extends Process {
  call<K extends keyof H & string>(name: K, ...args: Parameters<H[K]>): Promise<Awaited<ReturnType<H[K]>>>
}

/** @param file its name in `bench/helpers`, without `.ts` */
export async function startHelper<H extends Handlers>(scope: Scope, file: string): Promise<Helper<H>> {
  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>()
  let calls = 0
  // In a process group of its own, so that Ctrl-C reaches this process alone, which then stops the others.
  const child = fork(join(FOLDER, `${file}.ts`), { detached: true, execArgv: [] })
  const helper = await supervise(scope, `The helper ${file}`, () => child)
  child.on('message', (message) => {
    const answer = message as Answer
    const call = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ('error' in answer) call?.reject(new Error(`${file}: ${answer.error}`))
    else call?.resolve(answer.result as never)
  })
  return {
    ...helper,
    call: (name, ...args) =>
      new Promise((resolve, reject) => {
        const id = calls++
        waiting.set(id, { resolve, reject })
        child.send({ id, name, args } satisfies Call)
      }),
  }
}

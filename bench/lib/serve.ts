/** What a helper process can be asked to do: named functions whose arguments and results are plain data. */
export type Handlers = Record<string, (...args: never[]) => Promise<unknown>>

/** One call, as it goes over the IPC channel. */
export interface Call {
  id: number
  name: string
  args: unknown[]
}

export type Answer = { id: number; result: unknown } | { id: number; error: string }

/** Answers the calls of the process that started this one, and ends with it. */
export function serve(handlers: Handlers): void {
  process.on('disconnect', () => process.exit())
  process.on('message', (message) => {
    const { id, name, args } = message as Call
    const handler = handlers[name] as (...given: unknown[]) => Promise<unknown>
    const reply = (answer: Answer): void => void process.send?.(answer)
    handler(...args).then(
      (result) => reply({ id, result }),
      (error: Error) => reply({ id, error: error.message }),
    )
  })
}

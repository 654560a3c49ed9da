import t from 'tap'
import type { Consumer, Queues } from '../../src/platform/queue/port.ts'
import { REDIS_PREFIX } from '../../src/platform/redis/redis.ts'
import { PREPARE } from '../helpers/backends.ts'
import { ALL_BACKENDS } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

interface Job {
  number: number
}

for (const backend of ALL_BACKENDS) {
  t.test(`queue on ${backend}`, async (t) => {
    const { queues: open, server } = await PREPARE[backend](t)
    const opened: Queues[] = []
    const consumers: Consumer[] = []
    t.teardown(async () => {
      await Promise.all(consumers.map((consumer) => consumer.close(1_000)))
      await Promise.all(opened.map((queues) => queues.close()))
    })
    const queues = (): Queues => {
      const made = open()
      opened.push(made)
      return made
    }
    const producer = queues()
    const ready = async (name: string) => {
      const queue = producer.queue<Job>(name)
      await until(
        () =>
          queue.waiting().then(
            () => true,
            () => false,
          ),
        'the queue can be reached',
      )
      return queue
    }
    const jobs = (count: number) => Array.from({ length: count }, (_, number) => ({ data: { number } }))

    t.test('every job is handled once, by whichever process', async (t) => {
      const queue = await ready('shared')
      const handled: number[] = []
      for (let process = 0; process < 2; process++) {
        const handle = async ({ number }: Job) => void handled.push(number)
        consumers.push(queues().queue<Job>('shared').consume(handle, { concurrency: 5 }))
      }
      await queue.add(jobs(200))
      await until(() => handled.length >= 200, 'all jobs were handled')
      t.strictSame(
        handled.toSorted((a, b) => a - b),
        jobs(200).map(({ data }) => data.number),
      )
      await until(async () => (await queue.waiting()) === 0, 'nothing waits')
    })

    t.test('waiting jobs are counted', async (t) => {
      const queue = await ready('counted')
      await queue.add(jobs(7))
      t.equal(await queue.waiting(), 7)
    })

    t.test('a delayed job is not handled before its time', async (t) => {
      const queue = await ready('delayed')
      const handled: { number: number; at: number }[] = []
      consumers.push(
        queue.consume(async ({ number }) => void handled.push({ number, at: performance.now() }), {
          concurrency: 5,
        }),
      )
      const added = performance.now()
      await queue.add([{ data: { number: 1 }, delayMs: 400 }, { data: { number: 2 } }])
      await until(() => handled.length === 2, 'both were handled')
      t.strictSame(
        handled.map(({ number }) => number),
        [2, 1],
      )
      t.ok((handled[1]?.at ?? 0) - added >= 390, 'it waited for its delay')
    })

    t.test('a job whose handler throws is dropped, and the next one is handled', async (t) => {
      const queue = await ready('throwing')
      const handled: number[] = []
      consumers.push(
        queue.consume(
          async ({ number }) => {
            handled.push(number)
            if (number === 0) throw new Error('thrown on purpose')
          },
          { concurrency: 1 },
        ),
      )
      await queue.add([{ data: { number: 0 } }])
      await until(() => handled.length === 1, 'it was handled')
      await queue.add([{ data: { number: 1 } }])
      await until(() => handled.length === 2, 'the next one was handled')
      t.strictSame(handled, [0, 1])
      await until(async () => {
        await queue.add([{ data: { number: 2 } }])
        return handled.includes(2)
      }, 'its id is free again')
    })

    t.test('no more jobs at once than asked for', async (t) => {
      const queue = await ready('bounded')
      let now = 0
      let most = 0
      let handled = 0
      const handle = async (): Promise<void> => {
        now += 1
        most = Math.max(most, now)
        await new Promise((resolve) => setTimeout(resolve, 5))
        now -= 1
        handled += 1
      }
      consumers.push(queue.consume(handle, { concurrency: 3 }))
      await queue.add(jobs(60))
      await until(() => handled === 60, 'all were handled')
      t.ok(most <= 3, `${most} at once`)
      t.ok(most > 1, 'and it used what it may')
    })

    t.test('closing a consumer waits for the job under way and takes no other', async (t) => {
      const queue = await ready('closing')
      const handled: number[] = []
      let finish: () => void = () => {}
      let started = false
      const consumer = queue.consume(
        async ({ number }) => {
          started = true
          await new Promise<void>((resolve) => (finish = resolve))
          handled.push(number)
        },
        { concurrency: 1 },
      )
      await queue.add(jobs(2))
      await until(() => started, 'the first one is under way')
      const closing = consumer.close(10_000)
      finish()
      await closing
      t.strictSame(handled, [0])
      t.equal(await queue.waiting(), 1)
    })

    t.test('closing does not wait longer than told', async (t) => {
      const queue = await ready('stuck')
      let started = false
      let finish: () => void = () => {}
      const consumer = queue.consume(
        () => {
          started = true
          return new Promise<void>((resolve) => (finish = resolve))
        },
        { concurrency: 1 },
      )
      await queue.add(jobs(1))
      await until(() => started, 'the job is under way')
      await consumer.close(100)
      t.pass('closed while the job is under way')
      finish()
      await consumer.close(10_000)
    })

    if (!server) return
    t.test('jobs flow again by themselves when the server was lost under them', async (t) => {
      const queue = await ready('lost')
      const handled = new Set<number>()
      const handle = async ({ number }: Job) => void handled.add(number)
      for (let process = 0; process < 2; process++)
        consumers.push(queues().queue<Job>('lost').consume(handle, { concurrency: 5 }))
      const waitingForJobs = async (): Promise<number> =>
        (await server.connectionNames()).filter((name) => name.startsWith(`${REDIS_PREFIX}:`)).length
      let added = 0
      /** @returns whether it was taken */
      const add = (): Promise<boolean> =>
        queue.add([{ data: { number: added++ } }]).then(
          () => true,
          () => false,
        )
      await until(async () => (await add()) && handled.size > 20, 'jobs flow')
      const before = await waitingForJobs()
      await server.kill()
      await until(async () => !(await add()), 'a job is refused, rather than kept waiting')
      await server.restart()
      await until(add, 'a job is taken')
      const from = added
      await until(async () => {
        await add()
        return [...handled].filter((number) => number >= from).length > 20
      }, 'jobs flow again')
      await until(async () => (await waitingForJobs()) === before, 'every consumer is back')
      t.pass('without a new connection or consumer being asked for')
    })
  })
}

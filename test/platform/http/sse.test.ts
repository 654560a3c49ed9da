import assert from 'node:assert/strict'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { encodeComment, encodeId, encodeMessage, encodeRetry } from '../../../src/platform/http/sse.ts'

/** What a client made of a stream. */
interface Heard {
  messages: EventSourceMessage[]
  /** As a browser would send it when it reconnects. */
  lastEventId: string | undefined
  retry: number | undefined
  comments: string[]
}

/** Reads a stream as a client that follows the standard to the letter, in the given pieces. */
function hear(pieces: readonly (string | Uint8Array)[]): Heard {
  const heard: Heard = { messages: [], lastEventId: undefined, retry: undefined, comments: [] }
  const parser = createParser({
    onEvent: (message) => heard.messages.push(message),
    onId: (id) => (heard.lastEventId = id),
    onRetry: (retry) => (heard.retry = retry),
    onComment: (comment) => heard.comments.push(comment),
    onError: (error) => {
      throw error
    },
  })
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  for (const piece of pieces) parser.feed(decoder.decode(Buffer.from(piece), { stream: true }))
  return heard
}

const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\n', '\r', ':', ' ', '\0'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
})
const oneLine = anyText.map((text) => text.replaceAll(/[\r\n\0]/g, ''))
const anyMessage = fc.record({ id: oneLine, event: oneLine, data: anyText }, { requiredKeys: ['data'] })

t.test('every message comes out as it went in, however the stream is cut', async (t) => {
  fc.assert(
    fc.property(fc.array(anyMessage), fc.array(fc.nat({ max: 2_000 })), (messages, cuts) => {
      const bytes = Buffer.from(messages.map(encodeMessage).join(''))
      const edges = [
        0,
        ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b),
        bytes.length,
      ]
      const pieces = edges.slice(1).map((to, index) => bytes.subarray(edges[index], to))
      assert.deepEqual(
        hear(pieces).messages,
        messages.map(({ id, event, data }) => ({
          id,
          event: event || undefined,
          data: data.replaceAll(/\r\n|\r/g, '\n'),
        })),
      )
    }),
    { numRuns: 500 },
  )
  t.pass('for arbitrary messages and pieces of bytes')
})

t.test('data', async (t) => {
  const cases: [string, string, string][] = [
    ['an empty text', '', ''],
    ['a line feed', 'a\nb', 'a\nb'],
    ['a carriage return and line feed', 'a\r\nb', 'a\nb'],
    ['a lone carriage return', 'a\rb', 'a\nb'],
    ['line breaks of all kinds in a row', 'a\r\r\n\nb', 'a\n\n\nb'],
    ['a line break at the end', 'a\n', 'a\n'],
    ['nothing but a line break', '\n', '\n'],
    ['leading spaces', '  a\n b', '  a\n b'],
    [
      'lines that look like fields',
      'a\nid: 9\nevent: x\nretry: 1\n: c\ndata: d',
      'a\nid: 9\nevent: x\nretry: 1\n: c\ndata: d',
    ],
    ['a zero character', 'a\0b', 'a\0b'],
    ['a byte order mark', '\uFEFFa', '\uFEFFa'],
    ['separators that JSON leaves as they are', 'a\u2028b\u2029c\u0085d', 'a\u2028b\u2029c\u0085d'],
    ['characters of two to four bytes', 'é €  𝄞', 'é €  𝄞'],
  ]
  for (const [name, data, expected] of cases) {
    t.same(
      hear([encodeMessage({ data })]).messages,
      [{ id: undefined, event: undefined, data: expected }],
      name,
    )
  }
})

t.test('a byte order mark before the stream is no part of the first message', async (t) => {
  t.match(hear(['\uFEFF', encodeMessage({ id: '1', data: 'a' })]).messages, [{ id: '1', data: 'a' }])
})

t.test('a message has a name or goes by the default one', async (t) => {
  const names = ['order.placed', 'a b', 'naïve', ' led by a space', 'a:b', undefined]
  const stream = names.map((event) => encodeMessage({ data: 'x', ...(event !== undefined && { event }) }))
  t.same(
    hear(stream).messages.map(({ event }) => event),
    names,
  )
})

t.test('ids', async (t) => {
  const stream = [
    encodeMessage({ id: '1', data: 'a' }),
    encodeMessage({ data: 'b' }),
    encodeMessage({ id: '3:c', data: 'c' }),
  ]
  t.equal(hear(stream.slice(0, 2)).lastEventId, '1', 'a message without an id leaves the last one standing')
  t.equal(hear(stream).lastEventId, '3:c')
  t.equal(hear([...stream, encodeMessage({ id: '', data: 'd' })]).lastEventId, '', 'an empty id clears it')
})

t.test('an id alone moves the last event id and dispatches nothing', async (t) => {
  const heard = hear([encodeMessage({ id: '1', data: 'a' }), encodeId('42')])
  t.equal(heard.lastEventId, '42')
  t.equal(heard.messages.length, 1)
})

t.test('a retry sets the time and dispatches nothing', async (t) => {
  const heard = hear([encodeRetry(1_500.4)])
  t.equal(heard.retry, 1_500, 'in whole milliseconds: clients ignore anything but digits')
  t.same(heard.messages, [])
})

t.test('a comment is no message and leaves those around it whole', async (t) => {
  const stream = [
    encodeMessage({ id: '1', data: 'a' }),
    encodeComment('still here'),
    encodeMessage({ data: 'b' }),
  ]
  const heard = hear(stream)
  t.same(
    heard.messages.map(({ data }) => data),
    ['a', 'b'],
  )
  t.same(heard.comments, ['still here'])
  t.equal(heard.lastEventId, '1')
})

t.test('what would break out of its line is refused', async (t) => {
  for (const breaker of ['\n', '\r', '\r\n', '\0']) {
    const text = `1${breaker}data: forged`
    const name = JSON.stringify(breaker)
    t.throws(() => encodeMessage({ id: text, data: '' }), RangeError, `${name} in an id`)
    t.throws(() => encodeMessage({ event: text, data: '' }), RangeError, `${name} in a name`)
    t.throws(() => encodeId(text), RangeError, `${name} in an id alone`)
    t.throws(() => encodeComment(text), RangeError, `${name} in a comment`)
  }
})

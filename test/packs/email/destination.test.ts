import fc from 'fast-check'
import t from 'tap'
import { compileSchema } from '../../../src/platform/json-schema/json-schema.ts'
import { email } from '../../../src/packs/email/destination.ts'
import { attempt, destinationServices, owedEvent, targetOf } from '../../helpers/destinations.ts'
import { connectEmail } from '../../helpers/email.ts'
import { startMailServer } from '../../helpers/mail-server.ts'

/** The headers of a mail, unfolded, and its body. */
function partsOf(source = '') {
  const end = source.indexOf('\r\n\r\n')
  const headers = source
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  return { headers, body: source.slice(end + 4) }
}

t.test('an event becomes a mail that people can read', async (t) => {
  const server = await startMailServer(t)
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  const settings = {
    to: ['ada@example.com', "o'hara+x@mail.example.com"],
    subject: 'Shop: {{type}} ({{type}})',
  }
  const result = await send({ settings, payload: '{"id":12345678901234567890}' })
  t.match(result, { succeeded: true, responseStatus: 250, responseBody: /^250 /, error: null, final: false })
  const [mail] = server.received
  t.match(mail, { from: 'events@helio.example', to: settings.to })
  const { headers, body } = partsOf(mail?.source)
  const { event_id: id, subscription_id: subscription } = owedEvent()
  for (const header of [
    'From: Heliograph <events@helio.example>',
    "To: ada@example.com, o'hara+x@mail.example.com",
    'Subject: Shop: order.placed (order.placed)',
    `Message-ID: <${id}.${subscription}@helio.example>`,
    'Auto-Submitted: auto-generated',
    'Content-Type: text/plain; charset=utf-8',
  ]) {
    t.ok(headers.includes(header), header)
  }
  t.equal(headers.filter((header) => /^X-Mailer/i.test(header)).length, 0)
  t.match(body, /^order\.placed\r\n\r\n\{\r\n {2}"id": 12345678901234567890\r\n\}\r\n\r\nEvent 019380f5/)
})

t.test('every attempt bears the same id, every subscription another one', async (t) => {
  const server = await startMailServer(t)
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  await send()
  await send()
  await send({ subscription_id: '019380f5-0000-7000-8000-00000000000c' })
  const ids = server.received.map(({ source }) =>
    partsOf(source).headers.find((line) => /^Message-ID/i.test(line)),
  )
  t.equal(ids[0], ids[1])
  t.not(ids[0], ids[2])
  t.equal(server.connections(), 1, 'one connection carried them all')
})

t.test('a transformation makes the text, or the parts of the mail', async (t) => {
  const server = await startMailServer(t)
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  const sent = async (transformation: string) => {
    t.match(await send({ transformation }), { succeeded: true }, transformation)
    const parts = partsOf(server.received.at(-1)?.source)
    return { ...parts, subject: parts.headers.find((line) => line.startsWith('Subject: ')) }
  }
  t.match(await sent(`'Order ' & payload.id`), { subject: 'Subject: order.placed', body: 'Order 42' })
  t.match(await sent(`{'subject': 'New order', 'text': 'Hi'}`), { subject: 'Subject: New order', body: 'Hi' })
  t.match(await sent(`{'subject': 'Only that'}`), { subject: 'Subject: Only that', body: /^order\.placed/ })
  const both = await sent(`{'text': 'plain', 'html': '<b>rich</b>'}`)
  t.match(both.headers.join('\n'), 'multipart/alternative')
  t.match(both.body, /plain[^]*<b>rich<\/b>/)
  const html = await sent(`{'html': '<img src="file:///etc/passwd"><b>rich</b>'}`)
  t.match(html.headers.join('\n'), 'Content-Type: text/html')
  t.match(html.body, 'file:///etc/passwd', 'nothing is fetched')
})

t.test('what is no mail is not sent', async (t) => {
  const server = await startMailServer(t)
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  for (const transformation of [
    '42',
    '$error("no")',
    `{'text': 5}`,
    `{'text': {'path': '/etc/passwd'}}`,
    `{'text': 'x', 'attachments': [{'path': '/etc/passwd'}]}`,
    `{'text': 'x', 'to': 'eve@example.com'}`,
  ]) {
    t.match(await send({ transformation }), { succeeded: false, ownFault: true }, transformation)
  }
  t.equal(server.received.length, 0)
})

t.test('no subject begins another header', async (t) => {
  const server = await startMailServer(t)
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  const names = (headers: string[]): string =>
    headers.map((line) => /^[A-Za-z-]+(?=: )/.exec(line)?.[0] ?? line).join()
  await send({ transformation: `{'subject': 'Hi', 'text': 'x'}` })
  const usual = names(partsOf(server.received[0]?.source).headers)
  const nasty = fc.string({
    unit: fc.constantFrom('a', '\r', '\n', '\u2028', '\0', ' ', ':', '😀', '\ud800', 'Bcc: eve@example.com'),
  })
  await fc.assert(
    fc.asyncProperty(nasty, async (subject) => {
      const { succeeded } = await send({ transformation: JSON.stringify({ subject, text: 'x' }) })
      const { headers, body } = partsOf(server.received.at(-1)?.source)
      return succeeded && names(headers) === usual && body.trim() === 'x'
    }),
    { numRuns: 50 },
  )
  t.ok(server.received.every(({ to }) => to.join() === 'ada@example.com'))
  await send({ transformation: `{'subject': $pad('', 500, 'long '), 'text': 'x'}` })
  const subject = partsOf(server.received.at(-1)?.source).headers.find((line) => line.startsWith('Subject: '))
  t.match(subject, /^Subject: .{200,300}$/)
})

t.test('settings that would do harm are refused when they are set', async (t) => {
  const check = compileSchema(email.settings)
  const isTaken = (to: unknown, subject?: string): boolean =>
    check({ type: 'email', to, ...(subject !== undefined && { subject }) }).length === 0
  t.ok(isTaken(['ada@example.com', 'x@y'], 'Ünïcode 😀 {{type}}'))
  for (const address of [
    'ada',
    '@example.com',
    'ada@',
    'a b@example.com',
    'ada@example.com\n',
    'ada@example.com\r\nBcc: eve@example.com',
    'ada@example.com, eve@example.com',
    'Ada <ada@example.com>',
    '"a\r\nb"@example.com',
    'ada@-example.com',
    `ada@${'a.'.repeat(130)}com`,
    'ada@example.com>\r\nRCPT TO:<eve@example.com',
    '',
    'ädä@example.com',
  ]) {
    t.notOk(isTaken([address]), JSON.stringify(address))
  }
  t.notOk(isTaken([]))
  t.notOk(isTaken(['a@b.c', 'a@b.c']))
  t.notOk(isTaken(Array.from({ length: 51 }, (_, index) => `a${index}@b.c`)))
  for (const subject of ['a\nb', 'a\r', '\0', 'x'.repeat(201), '', '\u2028', '\ud800']) {
    t.notOk(isTaken(['a@b.c'], subject), Buffer.from(subject).toString('hex'))
  }
  for (const subject of ['{{payload.id}}', 'x {{ type }}', '{{{{type}}', '{{']) {
    t.throws(
      () => email.check?.({ type: 'email', to: ['a@b.c'], subject }),
      { name: 'Problem', problem: 'invalid-destination' },
      subject,
    )
  }
  email.check?.({ type: 'email', to: ['a@b.c'], subject: '{{type}} {type} }}' })
  email.check?.({ type: 'email', to: ['a@b.c'] })
})

t.test('without a mail server it says what to set', async (t) => {
  const destination = email.connect(destinationServices(t), {})
  t.match(await destination.send(owedEvent(), targetOf({ type: 'email', to: ['a@b.c'] }), attempt()), {
    succeeded: false,
    final: true,
    ownFault: true,
    error: /Set SMTP_URL and MAIL_FROM/,
  })
})

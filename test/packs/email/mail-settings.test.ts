import t from 'tap'
import { parseMailbox, parseSmtpUrl } from '../../../src/packs/email/mail-settings.ts'

t.test('what a URL says of a mail server', async (t) => {
  const plain = {
    host: 'mail.example.com',
    port: undefined,
    secure: false,
    requireTLS: false,
    rejectUnauthorized: true,
    auth: undefined,
  }
  t.same(parseSmtpUrl('smtp://mail.example.com'), plain)
  t.same(parseSmtpUrl('smtp://mail.example.com:2525/'), { ...plain, port: 2525 })
  t.same(parseSmtpUrl('smtps://mail.example.com?tls.rejectUnauthorized=false'), {
    ...plain,
    secure: true,
    rejectUnauthorized: false,
  })
  t.same(parseSmtpUrl('smtp://[::1]:25'), { ...plain, host: '::1', port: 25 })
  const auth = { user: 'ada@example.com', pass: 'p:/?#@ss wörd' }
  const login = `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.pass)}@`
  t.same(
    parseSmtpUrl(`smtp://${login}mail.example.com`),
    { ...plain, auth, requireTLS: true },
    'a password needs TLS',
  )
  t.same(parseSmtpUrl(`smtp://${login}mail.example.com?requireTLS=false`), { ...plain, auth })
  t.same(parseSmtpUrl(`smtps://${login}mail.example.com`), { ...plain, auth, secure: true })
  t.same(parseSmtpUrl('smtp://mail.example.com?requireTLS=true'), { ...plain, requireTLS: true })
})

t.test('a URL that cannot be used is refused, and not repeated', async (t) => {
  for (const url of [
    'mail.example.com',
    'http://hunter2@mail.example.com',
    'smtp://',
    'smtp://ada:hunter2@',
    'smtp://ada:hunter2@mail.example.com:99999',
    'smtp://ada:hunter2@mail.example.com/path',
    'smtp://ada:hunter2@mail.example.com#x',
    'smtp://hunter2@mail.example.com',
    'smtp://:hunter2@mail.example.com',
    'smtp://ada:hunter2%ff@mail.example.com',
    'smtp://mail.example.com?hunter2=true',
    'smtp://mail.example.com?requireTLS=hunter2',
    'smtp://mail.example.com?logger=true',
  ]) {
    t.throws(() => parseSmtpUrl(url), /./, url)
    try {
      parseSmtpUrl(url)
    } catch (error) {
      t.notMatch((error as Error).message, 'hunter2')
    }
  }
})

t.test('addresses that mail may come from', async (t) => {
  t.same(parseMailbox('events@example.com'), { name: '', address: 'events@example.com' })
  t.same(parseMailbox('<events@example.com>'), { name: '', address: 'events@example.com' })
  t.same(parseMailbox('Ünïcode Shop <events@example.com>'), {
    name: 'Ünïcode Shop',
    address: 'events@example.com',
  })
  for (const text of [
    '',
    'events',
    'Shop events@example.com',
    'a@b.c, d@e.f',
    'Shop <a@b.c> <d@e.f>',
    'Shop <a@b.c>\r\nBcc: d@e.f',
    'Sh\r\nop <a@b.c>',
    '"Shop" <a@b.c>',
    'Shop <a@b.c',
  ]) {
    t.throws(() => parseMailbox(text), /write an address/, JSON.stringify(text))
  }
})

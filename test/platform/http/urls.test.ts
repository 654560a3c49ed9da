import t from 'tap'
import { readUrl } from '../../../src/platform/http/urls.ts'

t.test('what new URL() takes is taken, and told as it is sent', async (t) => {
  const taken: [string, string][] = [
    ['https://exämple.com/', 'https://xn--exmple-cua.com/'],
    ['https://例え.テスト/フック', 'https://xn--r8jz45g.xn--zckzah/%E3%83%95%E3%83%83%E3%82%AF'],
    ['HTTP://Example.COM', 'http://example.com/'],
    ['https://example.com:443/a/../b', 'https://example.com/b'],
    ['https://example.com/?a[0]=1|2&b={x}', 'https://example.com/?a[0]=1|2&b={x}'],
    ['https://example.com/a|b[c]/{d}', 'https://example.com/a|b[c]/%7Bd%7D'],
    ['https://example.com/a b?c d', 'https://example.com/a%20b?c%20d'],
    [' https://example.com/\ta\nb ', 'https://example.com/ab'],
    ['https://example.com/\0?\0a', 'https://example.com/%00?%00a'],
    ['https://example.com/\ud800', 'https://example.com/%EF%BF%BD'],
    ['https://example.com\\a\\b', 'https://example.com/a/b'],
    ['http://[::1]:8080/', 'http://[::1]:8080/'],
    ['http://2130706433/', 'http://127.0.0.1/'],
    ['https://example.com/%zz?%', 'https://example.com/%zz?%'],
  ]
  for (const [given, href] of taken) {
    t.strictSame(readUrl(given), { href }, given)
    t.strictSame(readUrl(href), { href }, 'and stays as it is')
  }
})

t.test('scheme, credentials and length are judged', async (t) => {
  const refused: [string, string][] = [
    ['', 'must be a URL'],
    ['/hooks', 'must be a URL'],
    ['example.com', 'must be a URL'],
    ['https://exa mple.com/', 'must be a URL'],
    ['http://example.com:99999/', 'must be a URL'],
    ['http://[::1', 'must be a URL'],
    ['example.com:80', 'must begin with http:// or https://'],
    ['ftp://example.com/', 'must begin with http:// or https://'],
    ['javascript:alert(1)', 'must begin with http:// or https://'],
    ['https://user@example.com/', 'must not hold a user or a password'],
    ['https://:secret@example.com/', 'must not hold a user or a password'],
    [`https://example.com/${'ü'.repeat(400)}`, 'is longer than 2048 characters when it is sent'],
  ]
  for (const [given, fault] of refused) t.strictSame(readUrl(given), { fault }, given)
  t.strictSame(readUrl('https://user@example.com/', '; ask'), {
    fault: 'must not hold a user or a password; ask',
  })
})

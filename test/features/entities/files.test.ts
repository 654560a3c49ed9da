import t from 'tap'
import { HARD_NUMBERS } from '../../helpers/numbers.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const notFound = { status: 404, type: 'not-found' }
const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })

const ALL = {
  filename: 'Rechnung – 2026 (März).pdf',
  mimeType: 'application/pdf; charset="x"',
  sizeBytes: 48_213,
  url: 'https://example.com/a%20b/invoice.pdf?v=1&x=y#page=2',
  sha256: '0123456789abcdef'.repeat(4),
  metadata: { pages: 3, nested: { list: [1, null, 'x'] } },
}
const NOTHING = { mimeType: null, sizeBytes: null, url: null, sha256: null }
const NO_MESSAGE = { platformConnectionId: null, externalId: null }

t.test('files', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()

  t.test('are created with a name alone, or with all there is', async (t) => {
    const { status, body: plain } = await client.post('/files', { filename: 'x' })
    t.equal(status, 201)
    const { id, createdAt } = plain
    t.strictSame(plain, {
      id,
      filename: 'x',
      ...NOTHING,
      ...NO_MESSAGE,
      metadata: {},
      createdAt,
      updatedAt: createdAt,
    })
    const { body: full } = await client.post('/files', ALL)
    t.strictSame(full, {
      ...plain,
      ...ALL,
      id: full.id,
      createdAt: full.createdAt,
      updatedAt: full.updatedAt,
    })
    const { body: none } = await client.post('/files', { filename: 'none', ...NOTHING })
    t.match(none, { filename: 'none', ...NOTHING })
    for (const file of [plain, full, none])
      t.strictSame((await client.get(`/files/${file.id}`)).body, file, 'it reads as it was created')
    t.strictSame((await client.get('/files')).body.data, [plain, full, none])
  })

  t.test('take what is just within the limits', async (t) => {
    const good: object[] = [
      { sizeBytes: 0 },
      { sizeBytes: Number.MAX_SAFE_INTEGER },
      { filename: '😀'.repeat(255) },
      { filename: '../../etc/passwd' },
      { mimeType: 'x'.repeat(200) },
      { url: 'http://localhost/' },
      { url: `https://example.com/${'a'.repeat(2048 - 'https://example.com/'.length)}` },
      { metadata: { a: 'x'.repeat(16_384 - '{"a":""}'.length) } },
    ]
    for (const input of good) {
      const { status, body } = await client.post('/files', { filename: 'x', ...input })
      t.equal(status, 201, JSON.stringify(input).slice(0, 60))
      t.match((await client.get(`/files/${body.id}`)).body, input)
    }
  })

  t.test('change by what is given, and by nothing else', async (t) => {
    const { body: file } = await client.post('/files', ALL)
    const path = `/files/${file.id}`
    const expected = { ...file }
    const changes: Record<string, unknown>[] = [
      { filename: 'other' },
      { mimeType: 'text/plain' },
      { sizeBytes: 0 },
      { url: 'http://example.org/' },
      { sha256: 'f'.repeat(64) },
      { metadata: { a: 1 } },
      { metadata: {} },
      ...Object.entries(NOTHING).map(([name, value]) => ({ [name]: value })),
      ALL,
    ]
    for (const change of changes) {
      const { status, body } = await client.patch(path, change)
      t.equal(status, 200, JSON.stringify(change))
      Object.assign(expected, change, { updatedAt: body.updatedAt })
      t.strictSame(body, expected)
    }
    t.strictSame((await client.get(path)).body, expected)
    t.ok(expected.updatedAt > file.updatedAt)
  })

  t.test('keep metadata as they are written', async (t) => {
    const metadata = `{"numbers":[${HARD_NUMBERS.join()}],"\\u0000":"\\udfff"}`
    const made = await client.post('/files', `{"filename":"x","metadata":${metadata}}`)
    const path = `/files/${made.body.id}`
    const changed = await client.patch(path, `{"metadata":{"x":${metadata}}}`)
    t.ok(made.text.includes(`"metadata":${metadata}`), made.text)
    for (const { text } of [changed, await client.get(path)]) {
      t.ok(text.includes(`"metadata":{"x":${metadata}}`), text)
    }
  })

  t.test('refuse what they cannot be', async (t) => {
    const { body: file } = await client.post('/files', ALL)
    const path = `/files/${file.id}`
    const bad: [object, string][] = [
      [{ filename: '' }, '/filename'],
      [{ filename: null }, '/filename'],
      [{ filename: 7 }, '/filename'],
      [{ filename: 'x'.repeat(256) }, '/filename'],
      [{ filename: 'a\0b' }, '/filename'],
      [{ filename: '\ud800' }, '/filename'],
      [{ mimeType: '' }, '/mimeType'],
      [{ mimeType: 'x'.repeat(201) }, '/mimeType'],
      [{ mimeType: '\0' }, '/mimeType'],
      [{ sizeBytes: -1 }, '/sizeBytes'],
      [{ sizeBytes: 1.5 }, '/sizeBytes'],
      [{ sizeBytes: '1' }, '/sizeBytes'],
      [{ sizeBytes: Number.MAX_SAFE_INTEGER + 1 }, '/sizeBytes'],
      [{ url: '' }, '/url'],
      [{ url: '/invoice.pdf' }, '/url'],
      [{ url: 'ftp://example.com/' }, '/url'],
      [{ url: 'javascript:alert(1)' }, '/url'],
      [{ url: 'https://exa mple.com/' }, '/url'],
      [{ url: 'https://user:pw@example.com/' }, '/url'],
      [{ url: `https://example.com/${'a'.repeat(2048)}` }, '/url'],
      [{ sha256: 'F'.repeat(64) }, '/sha256'],
      [{ sha256: 'f'.repeat(63) }, '/sha256'],
      [{ sha256: `${'f'.repeat(64)}\n` }, '/sha256'],
      [{ metadata: null }, '/metadata'],
      [{ metadata: [] }, '/metadata'],
      [{ metadata: 'x' }, '/metadata'],
      [{ metadata: { a: 'x'.repeat(16_384) } }, '/metadata'],
      [{ id: UNKNOWN_ID }, '/id'],
      [{ platformConnectionId: UNKNOWN_ID }, '/platformConnectionId'],
      [{ externalId: 'x' }, '/externalId'],
      [{ content: 'x' }, '/content'],
      [{ size_bytes: 1 }, '/size_bytes'],
      [{ createdAt: file.createdAt }, '/createdAt'],
    ]
    for (const [input, pointer] of bad) {
      const what = JSON.stringify(input).slice(0, 60)
      expectProblem(t, await client.post('/files', { filename: 'x', ...input }), invalid(pointer), what)
      expectProblem(t, await client.patch(path, input), invalid(pointer), `${what}, later`)
    }
    expectProblem(t, await client.post('/files', {}), invalid('/filename'), 'no name')
    expectProblem(t, await client.patch(path, {}), invalid(''), 'no change')
    t.strictSame((await client.get(path)).body, file, 'nothing was changed')
  })

  t.test('are deleted once', async (t) => {
    const { body: file } = await client.post('/files', ALL)
    const path = `/files/${file.id}`
    const { status, text } = await client.delete(path)
    t.strictSame({ status, text }, { status: 204, text: '' })
    for (const gone of [path, `/files/${UNKNOWN_ID}`]) {
      expectProblem(t, await client.get(gone), notFound, 'read')
      expectProblem(t, await client.patch(gone, { filename: 'x' }), notFound, 'changed')
      expectProblem(t, await client.delete(gone), notFound, 'deleted')
    }
    t.notOk((await client.get('/files?limit=100')).text.includes(file.id))
  })
})

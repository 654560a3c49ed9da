import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'

const ROOT = join(import.meta.dirname, '../..')
const LINK = /\]\((?!https?:|mailto:|#)([^)#\s]+)/g

t.test('every link of the documentation to a file leads to one', async (t) => {
  const pages = (await readdir(join(ROOT, 'docs'), { recursive: true })).map((page) => join('docs', page))
  const broken: string[] = []
  let links = 0
  for (const page of [...pages, 'README.md', 'CHANGELOG.md', 'bench/README.md']) {
    if (!page.endsWith('.md')) continue
    const text = await readFile(join(ROOT, page), 'utf8')
    for (const [, link = ''] of text.matchAll(LINK)) {
      links += 1
      if (!existsSync(join(ROOT, dirname(page), link))) broken.push(`${page}: ${link}`)
    }
  }
  t.ok(links > 100, `${links} links were looked at`)
  t.strictSame(broken, [])
})

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { DEFAULT_LIMITS } from '../../../src/platform/transformation/limits.ts'
import type { Limits } from '../../../src/platform/transformation/limits.ts'
import { withExactNumbers } from '../../../src/platform/transformation/jsonata-numbers.ts'
import {
  createTransformer,
  TransformationError,
} from '../../../src/platform/transformation/transformation.ts'

// Long enough that a busy machine does not kill what is harmless; tests of hostile expressions wait for it.
const TIME_MS = 1_000
const LOOPS = '($f := function($n){ $f($n + 1) }; $f(0))'
const CATASTROPHIC = '$match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", /^(a+)+$/)'
const TAKES_ALL_MEMORY = '$length($pad("", 100000000))'

function transformer(test: Test, limits: Partial<Limits> = {}) {
  const created = createTransformer({ timeMs: TIME_MS, ...limits })
  test.teardown(() => created.close())
  return created
}

async function failure(promise: Promise<unknown>): Promise<TransformationError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof TransformationError) return error
    throw error
  }
  throw new Error('It did not fail.')
}

t.test('evaluates an expression on JSON text', async (t) => {
  const { transform } = transformer(t)
  const input = JSON.stringify({ name: 'Ada', items: [{ price: 1 }, { price: 2.5 }], none: null })
  t.equal(
    await transform('{"text": "Hello " & name, "sum": $sum(items.price)}', input),
    '{"text":"Hello Ada","sum":3.5}',
  )
  t.equal(await transform('items.price', input), '[1,2.5]', 'sequences are plain arrays')
  t.equal(await transform('items[price = 1]', input), '{"price":1}')
  t.equal(await transform('none', input), 'null')
  t.equal(await transform('$', '[1,[2]]'), '[1,[2]]')
  t.equal(await transform('$', '{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}')
  t.equal(await transform('$base64decode($base64encode("ab"))', '{}'), '"ab"')
  t.equal(await transform('$eval("name")', input), '"Ada"')
  t.equal(await transform('$replace("a-b", /-(b)/, "+$1")', '{}'), '"a+b"')
})

t.test('numbers are passed on and compared exactly, whatever their size', async (t) => {
  const { transform } = transformer(t)
  const input =
    '{"id":813683310949021977,"next":813683310949021978,"huge":1e400,"zero":-0,"share":0.10000000000000001,' +
    '"list":[813683310949021978,1,813683310949021977],"text":"813683310949021977","items":[{"id":813683310949021978},{"id":1}]}'
  const cases: [expression: string, output: string][] = [
    ['$', input],
    ['{"a": [id, huge], "b": zero}', '{"a":[813683310949021977,1e400],"b":-0}'],
    ['$string(id) & "/" & list', '"813683310949021977/[813683310949021978,1,813683310949021977]"'],
    ['[id = 813683310949021977, id = 813683310949021978, id != next, id = text]', '[true,false,true,false]'],
    ['[id < next, id > 5, huge > id, -id > -next, -813683310949021978 < -id]', '[true,true,true,true,true]'],
    ['[id in list, 5 in list, next in [1], -id]', '[true,false,false,-813683310949021977]'],
    ['items[id = 813683310949021978]', '{"id":813683310949021978}'],
    ['items^(>id).id', '[813683310949021978,1]'],
    ['$sort(list)', '[1,813683310949021977,813683310949021978]'],
    ['$distinct(list ~> $append(id))', '[813683310949021978,1,813683310949021977]'],
    ['[$type(id), $boolean(id), $exists(id.x)]', '["number",true,false]'],
    ['[$number(text), $number(id), $eval("1e-400")]', '[813683310949021977,813683310949021977,1e-400]'],
    [
      '$ ~> |items|{"id": id = 1 ? 813683310949021978 : id}|',
      input.replace('"id":1}', '"id":813683310949021978}').replace('-0', '0'),
    ],
    ['[share * 2, $round(share, 1), $sum([share, 1])]', '[0.2,0.1,1.1]'],
  ]
  for (const [expression, output] of cases) t.equal(await transform(expression, input), output, expression)
})

t.test('arithmetic on a number that a double does not stand for fails', async (t) => {
  const { transform } = transformer(t)
  const refused = [
    'id + 1',
    '1 - id',
    'huge * 0',
    'id % 10',
    '$sum([1, id])',
    '$max([1, id])',
    '$round(id)',
    '$abs(-id)',
    '$formatNumber(id, "#")',
    '$formatBase(id)',
    '813683310949021977 + 1',
    '$number("813683310949021977") + 1',
    '$reduce([1, id], function($a, $b){ $a + $b })',
  ]
  for (const expression of refused) {
    const { message } = await failure(transform(expression, '{"id":813683310949021977,"huge":1e400}'))
    t.match(message, /^The number \S+ cannot be calculated with, as it cannot be held exactly/, expression)
  }
})

t.test('no JSONata is taken that the changes for numbers were not made for', async (t) => {
  t.throws(() => withExactNumbers('function isNumeric(n) {}'), /not exactly once/)
  t.throws(() => withExactNumbers('function isNumeric(n) {'.repeat(2)), /not exactly once/)
})

t.test('refuses results that are not JSON', async (t) => {
  const { transform } = transformer(t, { outputBytes: 1_000 })
  t.match(await failure(transform('missing', '{}')), { message: /gave nothing/, busy: false })
  for (const expression of ['$sum', '{"a": [$sum]}', 'function($x){$x}', '{"a": /x/}']) {
    t.match(await failure(transform(expression, '{}')), { message: /gave a function/ }, expression)
  }
  for (const expression of ['1/0', '[-1/0]', '{"a": 0/0}']) {
    t.match(
      await failure(transform(expression, '{}')),
      { message: /number that JSON does not have/ },
      expression,
    )
  }
  const tooLong = /longer than 1000 bytes/
  t.equal((await transform('$pad("", 998, "x")', '{}')).length, 1_000)
  t.match(await failure(transform('$pad("", 999, "x")', '{}')), { message: tooLong })
  t.match(await failure(transform('$pad("", 500, "é")', '{}')), { message: tooLong }, 'bytes count')
  const doubled = '($f := function($v, $n){ $n = 0 ? $v : $f({"a": $v, "b": $v}, $n - 1) }; $f(1, 40))'
  t.match(await failure(transform(doubled, '{}')), { message: tooLong }, 'the text is never built')
})

t.test("says what JSONata says of the expression's errors", async (t) => {
  const { transform, check } = transformer(t)
  t.match(await failure(transform('$error("no customer")', '{}')), {
    message: 'no customer (at character 7)',
    busy: false,
  })
  t.match(await failure(transform('1 + "secret"', '{}')), {
    message: /right side of the "\+" operator.*\(at character 3\)$/,
  })
  t.notMatch(await failure(transform('1 + s', '{"s":"secret"}')), { message: /secret/ })
  const long = await failure(transform('$error($pad("", 10000, "x"))', '{}'))
  t.equal(long.message.length, 500)
  t.match(long.message, /x… \(at character 7\)$/)
  t.equal((await failure(transform('$error("a\\u0000\\nb")', '{}'))).message, 'a b (at character 7)')
  t.match(await failure(transform('foo(', '{}')), { message: /end of expression/ })
  t.throws(
    () => check('foo('),
    new TransformationError('Expected ")" before end of expression (at character 4)'),
  )
  t.throws(() => check(''), TransformationError)
  t.throws(() => check('('.repeat(16_000)), TransformationError)
  t.doesNotThrow(() => check('foo.bar[0] ~> $string'))
})

t.test('refuses expressions that are too long', async (t) => {
  const { transform, check } = transformer(t)
  const most = `"${'é'.repeat(DEFAULT_LIMITS.expressionBytes / 2 - 1)}"`
  t.equal(await transform(most, '{}'), most)
  const message = 'The expression is longer than 16384 bytes; make it shorter.'
  t.doesNotThrow(() => check(most))
  t.throws(() => check(`${most} `), { message })
  t.match(await failure(transform(`${most} `, '{}')), { message })
})

t.test('ends what takes too long or too much memory', async (t) => {
  const { transform } = transformer(t)
  const hostile = [
    LOOPS,
    CATASTROPHIC,
    TAKES_ALL_MEMORY,
    `$eval("${LOOPS}")`,
    '($f := function($n){ 1 + $f($n + 1) }; $f(0))',
    '[1..10000000]',
    '$map([1..10000000], function($i){ [1..10000000] })',
    "$pad('', 1000000000)",
    "$pad('', 500000000)",
    '($f := function($s, $n){ $n = 0 ? $s : $f($s & $s, $n - 1) }; $length($f("abc", 27)))',
    '($f := function($s, $n){ $n = 0 ? $s : $f($s & $s, $n - 1) }; $uppercase($f("abc", 27)))',
    '($f := function($s, $n){ $n = 0 ? $s : $f([$s, $s], $n - 1) }; $f("abc", 40))',
    '($f := function($v, $n){ $n = 0 ? $v : $f({"a": $v, "b": $v}, $n - 1) }; $length($string($f(1, 60))))',
    '[1..1000000].[1..1000000].(x := 1)',
  ]
  for (const expression of hostile) {
    t.match(
      await failure(transform(expression, '{}')),
      { name: 'TransformationError', busy: false },
      expression,
    )
    t.equal(await transform('1 + 1', '{}'), '2', 'the next one is not affected')
  }
})

t.test('names the limit that was passed', async (t) => {
  const { transform } = transformer(t)
  t.match(await failure(transform(LOOPS, '{}')), { message: /timeout after 1000 milliseconds/ })
  t.match(await failure(transform(CATASTROPHIC, '{}')), { message: /took longer than 1000 ms/ })
  t.match(await failure(transform(TAKES_ALL_MEMORY, '{}')), {
    message: /more than 64 MB|longer than 1000 ms/,
  })
})

t.test('an error does not hide what goes on', async (t) => {
  const { transform } = transformer(t, { processes: 1 })
  const [hidden, next] = await Promise.all([
    failure(transform(`[$error("x"), ${CATASTROPHIC}]`, '{}')),
    transform('1 + 1', '{}'),
  ])
  t.match(hidden, { message: /longer than/ })
  t.equal(next, '2')
})

t.test('others that run or wait are not affected by what is killed', async (t) => {
  const { transform } = transformer(t)
  const hostile = [CATASTROPHIC, TAKES_ALL_MEMORY, '[1..10000000]', LOOPS]
  const work = Array.from({ length: 60 }, (_, index) => ({ index, expression: hostile[index % 30] }))
  const outcomes = await Promise.all(
    work.map(async ({ index, expression }) => {
      if (expression === undefined) return (await transform(`n + 1`, `{"n":${index}}`)) === String(index + 1)
      const error = await failure(transform(expression, '{}'))
      return !error.busy
    }),
  )
  t.ok(outcomes.every(Boolean))
})

t.test('slow expressions leave a process to the others', async (t) => {
  const { transform } = transformer(t)
  await failure(transform(CATASTROPHIC, '{}'))
  let ended = 0
  const slow = Array.from({ length: 4 }, async () => {
    await failure(transform(CATASTROPHIC, '{}'))
    ended += 1
  })
  for (let n = 0; n < 20; n += 1) await transform('1 + 1', '{}')
  t.ok(ended < slow.length, 'the others are done before the slow ones')
  await Promise.all(slow)
})

t.test('refuses what would wait for too long, as busy', async (t) => {
  const { transform } = transformer(t, { processes: 1, waiting: 2 })
  const accepted = [1, 2, 3].map((n) => transform('n', `{"n":${n}}`))
  t.match(await failure(transform('n', '{"n":4}')), { busy: true, message: /try again/ })
  t.same(await Promise.all(accepted), ['1', '2', '3'])
  t.equal(await transform('n', '{"n":5}'), '5')
})

t.test('there is no way out of an expression', async (t) => {
  const { transform } = transformer(t)
  const outside = [
    'constructor',
    '__proto__',
    '$.constructor.constructor',
    '$lookup($, "constructor")',
    '$lookup($, "__proto__")',
    '"".constructor',
    '$sum.constructor',
    '$spread([$sum]).implementation.constructor',
    'process',
    '$process',
    'globalThis',
    '$globalThis',
    '$require',
    '$import',
    '$constructor',
    '$__proto__',
    '$toString',
    '$eval("$process")',
    '{} ~> |$|{"__proto__": {"polluted": 1}}|.polluted',
    '{"__proto__": {"polluted": 1}}.polluted',
  ]
  for (const expression of outside) {
    const error = await failure(transform(expression, '{}'))
    t.match(error.message, /gave nothing|non-function|function/, expression)
  }
  // Without its mark a function is an object, and shows the frame it was made in.
  const frame = '($f := function(){1}; {} ~> |$f|{}, "_jsonata_lambda"|; $f.environment'
  t.match(await failure(transform(`${frame}.base.RegexEngine.prototype)`, '{}')), { message: /gave nothing/ })
  t.match(await failure(transform(`${frame}.base.RegexEngine.constructor("return process")())`, '{}')), {
    message: /non-function/,
  })
  t.match(await failure(transform(`{} ~> |${frame}.base.RegexEngine)|{"polluted": 1}|`, '{}')), {
    message: /not extensible/,
  })
})

t.test('an expression leaves nothing for others', async (t) => {
  const { transform } = transformer(t, { processes: 1 })
  const frame = '($f := function(){1}; {} ~> |$f|{}, "_jsonata_lambda"|; $f.environment.global'
  const leave = [
    '($left := 1; $sum := function($x){"mine"}; $sum([1]))',
    '{} ~> |$sum|{"implementation": function($x){"mine"}}|',
    '{} ~> |$spread([$sum])[1].implementation|{"apply": function($x){"mine"}}|',
    '$eval("{} ~> |$" & "sum|{\\"implementation\\": function($x){\\"mine\\"}}|")',
    '{} ~> |$string|{}, ["signature", "implementation"]|',
    `{} ~> |${frame})|{"left": 1}|`,
    '{} ~> |$|{"__proto__": {"left": 1}, "constructor": 1}|',
  ]
  for (const expression of leave) {
    await transform(expression, '{}').catch(() => {})
    t.equal(await transform('$sum([1, 2]) & $string(3)', '{}'), '"33"', expression)
    t.match(await failure(transform('$left', '{}')), { message: /gave nothing/ })
    t.match(await failure(transform('left', '{}')), { message: /gave nothing/ })
    t.match(await failure(transform(`${frame}.left)`, '{}')), { message: /gave nothing/ })
  }
  const changesItself = '($was := $sum([1, 2]); {} ~> |$sum|{"implementation": function($x){"mine"}}|; $was)'
  t.equal(await transform(changesItself, '{}'), '3')
  t.equal(await transform(changesItself, '{}'), '3', 'not even for itself')
  const named = '($mine := $sum; $map([1], $mine))'
  t.equal(await transform(named, '{}'), '1')
  t.notMatch(await failure(transform('$map(["a"], $sum)', '{}')), { message: /mine/ })
})

t.test('close ends what runs and waits, and can be called twice', async (t) => {
  const { transform, close } = transformer(t, { processes: 1, timeMs: 3_600_000 })
  t.equal(await transform('1', '{}'), '1')
  const running = failure(transform(CATASTROPHIC, '{}'))
  const waiting = failure(transform('1', '{}'))
  await Promise.all([close(), close()])
  t.match(await running, { busy: true })
  t.match(await waiting, { busy: true })
  t.match(await failure(transform('1', '{}')), { busy: true })
  await close()
})

t.test('close without having been used', async () => {
  await createTransformer().close()
})

t.test('idle processes do not keep the process alive', async (t) => {
  const module = new URL('../../../src/platform/transformation/transformation.ts', import.meta.url).href
  const program = `
    const { createTransformer } = await import(${JSON.stringify(module)})
    console.log(await createTransformer({ timeMs: 10000 }).transform('1 + 1', '{}'))
  `
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { env: {} })
  t.equal(stdout, '2\n')
})

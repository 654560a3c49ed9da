import {
  compareNumbers,
  exactNumber,
  ExactNumber,
  parseExactly,
  type JsonNumber,
} from '../json/exact-numbers.ts'

/**
 * What JSONata asks of numbers that are no doubles; its source with these changes has it as `exact`. It has them as they
 * are in the payload, as `ExactNumber`: objects with the type of numbers that are compared, found, sorted and passed on,
 * while arithmetic takes their `valueOf`, which throws rather than being another number.
 */
export const exact = Object.freeze({
  is: (value: unknown) => value instanceof ExactNumber,
  compare: compareNumbers,
  read: exactNumber,
  negate: (number: JsonNumber) => (typeof number === 'number' ? -number : negated(String(number))),
  parse: parseExactly,
})

const negated = (text: string): JsonNumber => exactNumber(text.startsWith('-') ? text.slice(1) : `-${text}`)

const either = (a: string, b: string): string =>
  `(exact.is(${a}) || exact.is(${b})) && isNumeric(${a}) && isNumeric(${b})`
const compared = (a: string, b: string): string =>
  `if (${either(a, b)}) { ${a} = exact.compare(${a}, ${b}); ${b} = 0; } `

/** Code at the beginning of a function. */
const after = (text: string, code: string): [text: string, instead: string] => [text, `${text} ${code}`]

/** Each text is once in the source; what is to stand there instead. */
const CHANGES: readonly [text: string, instead: string][] = [
  after('function isNumeric(n) {', 'if (exact.is(n)) return true;'),
  after('var getSymbol = function (value) {', "if (exact.is(value)) return 'n';"),
  after(
    'function isDeepEqual(lhs, rhs) {',
    `if (exact.is(lhs) || exact.is(rhs)) return ${either('lhs', 'rhs')} && exact.compare(lhs, rhs) === 0;`,
  ),
  after('function evaluateComparisonExpression(lhs, rhs, op) {', compared('lhs', 'rhs')),
  ['if(rhs[i] === lhs) {', 'if(rhs[i] === lhs || (exact.is(lhs) && isDeepEqual(rhs[i], lhs))) {'],
  ['var atype = typeof aa;', `${compared('aa', 'bb')}var atype = typeof aa;`],
  ['return a > b;', `${compared('a', 'b')}return a > b;`],
  after('function round(arg, precision) {', 'if (exact.is(arg)) arg = +arg;'),
  after('function number(arg) {', 'if (exact.is(arg)) return arg;'),
  ['result = parseFloat(arg);', 'result = exact.read(arg);'],
  ['result = -result;', 'result = exact.negate(result);'],
  ['result.value = -result.value;', 'result.value = exact.negate(result.value);'],
  // Literals of expressions.
  ["return create('number', num);", "return create('number', exact.read(match[0]));"],
  // What the transform operator changes is a copy, made through a text in which fractions have 15 digits.
  [
    'return JSON.parse(fn.string(arg));',
    'if (Array.isArray(arg) && arg.outerWrapper) arg = arg[0];' +
      "return exact.parse(JSON.stringify(arg, (_, val) => isFunction(val) ? '' : val));",
  ],
]

/**
 * JSONata's source, changed so that it takes `ExactNumber` for numbers.
 *
 * @throws Error when it is not the JSONata that the changes were made for
 */
export function withExactNumbers(source: string): string {
  return CHANGES.reduce((changed, [text, instead]) => {
    const [before, rest, ...more] = changed.split(text)
    if (rest === undefined || more.length > 0) throw new Error(`JSONata has "${text}" not exactly once.`)
    return before + instead + rest
  }, source)
}

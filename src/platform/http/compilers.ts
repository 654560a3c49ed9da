import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'
import { Ajv, type Options, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import type { FastifySchemaCompiler, FastifySerializerCompiler } from 'fastify'

/** Every error is listed of a body with at most so many values; of a larger one the first. */
const MAX_VALUES_LISTED = 100_000

/** Makes something when it is first asked for: to compile every route's schemas would take most of a start. */
function lazily<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/**
 * Bodies must have the right types; what stands in a URL or a header is text and is converted.
 *
 * A factory rather than `setValidatorCompiler`: a scope that adds schemas of its own would go back to
 * Fastify's default validator, which converts bodies too and drops what it does not know.
 */
export function buildValidator(sharedSchemas: Record<string, object>): FastifySchemaCompiler<object> {
  const options = {
    strict: false,
    removeAdditional: false,
    useDefaults: false,
    discriminator: true,
    validateSchema: false, // compiling the meta-schema for each scope would take long
  } as const
  const compiler = (more: Options) =>
    lazily(() => {
      const ajv = new Ajv({ ...options, ...more })
      addFormats.default(ajv)
      return ajv.addSchema(Object.values(sharedSchemas))
    })
  const exact = compiler({})
  const complete = compiler({ allErrors: true, verbose: true })
  const converting = compiler({ allErrors: true, verbose: true, coerceTypes: 'array' })
  const answerOf = (check: ValidateFunction, value: unknown) =>
    check(value) ? true : { error: check.errors ?? [] }
  return ({ schema, httpPart }) => {
    if (httpPart !== 'body') {
      const converts = lazily(() => converting().compile(schema))
      return (value: unknown) => answerOf(converts(), value)
    }
    const fits = lazily(() => exact().compile(schema))
    const listErrors = lazily(() => complete().compile(schema))
    // Errors are listed only for what is not large: there may be as many as there are values.
    return (body: unknown) => {
      const answer = answerOf(fits(), body)
      return answer !== true && hasFewerValues(body, MAX_VALUES_LISTED)
        ? answerOf(listErrors(), body)
        : answer
    }
  }
}

const fastJsonStringify = SerializerSelector()

/** Fastify's own serializers of answers. */
export function buildSerializer(sharedSchemas: unknown, options: object): FastifySerializerCompiler<unknown> {
  return (route) => {
    // Each with a compiler of its own: a compiler drops the shared schema that it is given to compile.
    const serialize = lazily(() => fastJsonStringify(sharedSchemas, options)(route as never))
    return (answer: unknown) => serialize()(answer)
  }
}

/** Whether a JSON value consists of fewer than so many values. */
function hasFewerValues(value: unknown, limit: number): boolean {
  const open = [value]
  for (let count = 0; open.length > 0; count++) {
    if (count + open.length > limit) return false
    const next = open.pop()
    if (typeof next === 'object' && next !== null) for (const member of Object.values(next)) open.push(member)
  }
  return true
}

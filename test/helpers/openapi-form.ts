import { Ajv2020 } from 'ajv/dist/2020.js'

const TEXT = { type: 'string', minLength: 1 }

/** An object with these members and no others. */
const object = (properties: object, required: string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})

const mapOf = (value: object) => ({ type: 'object', additionalProperties: value })
const listOf = (items: object) => ({ type: 'array', items })
const defined = (name: string) => ({ $ref: `#/$defs/${name}` })

const OPERATION = {
  operationId: TEXT,
  summary: TEXT,
  description: TEXT,
  tags: { ...listOf(TEXT), uniqueItems: true },
  deprecated: { type: 'boolean' },
  parameters: listOf(defined('parameter')),
  requestBody: object({ description: TEXT, required: { type: 'boolean' }, content: defined('content') }, [
    'content',
  ]),
  responses: {
    type: 'object',
    minProperties: 1,
    patternProperties: { '^[1-5](\\d\\d|XX)$|^default$': defined('response') },
    additionalProperties: false,
  },
  security: listOf(mapOf(listOf(TEXT))),
}

const PATH_ITEM = object(
  Object.fromEntries(
    ['get', 'put', 'post', 'delete', 'patch', 'head', 'options', 'trace'].map((method) => [
      method,
      object(OPERATION, ['responses']),
    ]),
  ),
)

/** The objects of OpenAPI 3.1, section 4.8, as far as there is use for them here. */
const FORM = {
  ...object(
    {
      openapi: { type: 'string', pattern: '^3\\.1\\.\\d+$' },
      info: object(
        {
          title: TEXT,
          version: TEXT,
          summary: TEXT,
          description: TEXT,
          license: { ...object({ name: TEXT, identifier: TEXT, url: TEXT }, ['name']), maxProperties: 2 },
        },
        ['title', 'version'],
      ),
      servers: listOf(object({ url: TEXT, description: TEXT }, ['url'])),
      tags: listOf(object({ name: TEXT, description: TEXT }, ['name'])),
      security: listOf(mapOf(listOf(TEXT))),
      paths: { type: 'object', patternProperties: { '^/': PATH_ITEM }, additionalProperties: false },
      webhooks: mapOf(PATH_ITEM),
      components: object({
        schemas: {
          type: 'object',
          patternProperties: { '^[A-Za-z0-9._-]+$': defined('schema') },
          additionalProperties: false,
        },
        securitySchemes: mapOf({
          anyOf: [
            object({ type: { const: 'http' }, scheme: TEXT, description: TEXT }, ['type', 'scheme']),
            object({ type: { const: 'apiKey' }, in: { const: 'query' }, name: TEXT, description: TEXT }, [
              'type',
              'in',
              'name',
            ]),
          ],
        }),
      }),
    },
    ['openapi', 'info', 'paths'],
  ),
  $defs: {
    schema: { $ref: 'https://json-schema.org/draft/2020-12/schema', type: ['object', 'boolean'] },
    parameter: {
      ...object(
        {
          name: TEXT,
          in: { enum: ['query', 'header', 'path', 'cookie'] },
          description: TEXT,
          required: { type: 'boolean' },
          schema: defined('schema'),
          style: TEXT,
          explode: { type: 'boolean' },
          example: true,
          examples: mapOf(object({ summary: TEXT, value: true })),
        },
        ['name', 'in', 'schema'],
      ),
      // What stands in a path is never left out; there is an example or there are several.
      anyOf: [
        { properties: { in: { enum: ['query', 'header', 'cookie'] } } },
        { properties: { required: { const: true } }, required: ['required'] },
      ],
      not: { required: ['example', 'examples'] },
    },
    content: {
      type: 'object',
      minProperties: 1,
      patternProperties: {
        '^[a-z*]+/[a-z0-9.+*-]+$': {
          ...object({
            schema: defined('schema'),
            example: true,
            examples: mapOf(object({ summary: TEXT, value: true }, ['value'])),
          }),
          not: { required: ['example', 'examples'] },
        },
      },
      additionalProperties: false,
    },
    response: object(
      {
        description: { type: 'string' },
        content: defined('content'),
        headers: mapOf(object({ description: TEXT, schema: defined('schema') }, ['schema'])),
      },
      ['description'],
    ),
  },
}

/** Where a document is not what OpenAPI 3.1 and JSON Schema 2020-12 say; empty when it is. */
export function faultsOfForm(document: object): string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  const fits = ajv.compile(FORM)
  if (fits(document)) return []
  return [...new Set((fits.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`))]
}

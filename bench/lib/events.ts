import type { LoadRequest } from '../helpers/http-load.ts'

export const EVENT_TYPE = 'shop.order_placed'

/** Different bodies that a load goes through, again and again. */
const VARIANTS = 500

/** What a shop's schema checks: types, ranges, formats, a closed list. */
export const JSON_SCHEMA = {
  type: 'object',
  required: ['order_id', 'customer', 'lines', 'currency', 'total', 'placed_at'],
  properties: {
    order_id: { type: 'string', minLength: 3, maxLength: 40 },
    customer: {
      type: 'object',
      required: ['id', 'email'],
      properties: { id: { type: 'integer', minimum: 1 }, email: { type: 'string', format: 'email' } },
    },
    lines: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['sku', 'quantity', 'price'],
        properties: {
          sku: { type: 'string' },
          quantity: { type: 'integer', minimum: 1 },
          price: { type: 'number', minimum: 0 },
        },
      },
    },
    currency: { enum: ['EUR', 'USD', 'GBP'] },
    total: { type: 'number', minimum: 0 },
    placed_at: { type: 'string', format: 'date-time' },
  },
}

/** About 300 bytes of JSON. */
export const payload = (number: number): object => ({
  order_id: `A-${100_000 + number}`,
  customer: { id: 7_000 + number, email: `customer.${number}@example.com` },
  lines: [
    { sku: `SKU-${1_000 + (number % 97)}`, quantity: 2, price: 19.95 },
    { sku: `SKU-${2_000 + (number % 89)}`, quantity: 1, price: 4.5 },
  ],
  currency: 'EUR',
  total: 44.4,
  placed_at: '2026-11-21T17:32:56.188Z',
  note: 'Please leave it with the neighbours.',
})

/** The edges of each event. */
export type EdgesOf = (number: number) => readonly object[]

/** Requests that append one event each to an app, or batches of them. */
export function appendRequests(key: string, batch?: number, edgesOf?: EdgesOf): LoadRequest[] {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const event = (number: number): object => ({
    type: EVENT_TYPE,
    payload: payload(number),
    ...(edgesOf && { edges: edgesOf(number) }),
  })
  if (batch === undefined) {
    return numbers(VARIANTS).map((number) => ({
      path: '/events',
      headers,
      body: JSON.stringify(event(number)),
    }))
  }
  const body = JSON.stringify({ events: numbers(batch).map(event) })
  return [{ path: '/events/batch', headers, body }]
}

export const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

import { CloudEvent, HTTP } from 'cloudevents'
import { call, type Answer, type Client } from './service.ts'

export const STRUCTURED = 'application/cloudevents+json'
export const BATCH = 'application/cloudevents-batch+json'

/** An event with each attribute that there is a rule for, and some of its sender's own. */
export const FULL = {
  specversion: '1.0',
  id: 'A-1 / ü',
  source: 'https://shop.example.com/orders?x=1#y',
  type: 'order.placed',
  subject: 'order "1"',
  time: '2026-01-02T03:04:05.678901+02:00',
  datacontenttype: 'application/json',
  dataschema: 'https://shop.example.com/schema.json',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  count: -7,
  flag: false,
  text: 'ünïcode 😀 "quoted" \\',
  sequence: 12,
  orgid: 'the sender’s own',
}

/** Gets a path as some media type. */
export const getAs = (url: string, client: Client, path: string, accept: string): Promise<Answer> =>
  call(url, 'GET', path, { key: client.key, headers: { accept } })

/** What the CloudEvents SDK makes of an answer; it throws when that is no CloudEvent. */
export function readWithSdk({ headers, text }: Answer): CloudEvent<unknown>[] {
  const read = HTTP.toEvent<unknown>({
    headers: { 'content-type': String(headers['content-type']) },
    body: text,
  })
  // The constructor checks what it is given.
  return (Array.isArray(read) ? read : [read]).map((event) => new CloudEvent<unknown>(event))
}

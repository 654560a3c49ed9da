import type { Violation } from '../../../platform/json-schema/json-schema.ts'
import { Problem } from '../../../platform/http/problems.ts'
import { parseTemplate, type Template } from './templates.ts'

/** What an event type says of the live messages about its events: templates. */
export interface DeclaredRooms {
  /** What they are about; the type when it is null, and when the template cannot be filled. */
  topic: string | null
  rooms: readonly string[]
}

export interface EventRooms {
  topic: string
  /** Names with a space between them. */
  rooms: string
}

/** @returns undefined for an event that is in no room */
export type RoomsOf = (payload: unknown) => EventRooms | undefined

/** @throws Problem `validation-failed` naming the templates that cannot be used */
export function checkTemplates({ topic = null, rooms = [] }: Partial<DeclaredRooms>): void {
  const violations = [
    ...(topic === null ? [] : violationsOf(topic, '/topic')),
    ...rooms.flatMap((room, index) => violationsOf(room, `/rooms/${index}`)),
  ]
  if (violations.length > 0) {
    throw new Problem('validation-failed', 'The body is not as it should be: see "errors".', violations)
  }
}

function violationsOf(template: string, pointer: string): Violation[] {
  try {
    parseTemplate(template)
    return []
  } catch (error) {
    if (error instanceof RangeError) return [{ pointer, detail: error.message }]
    throw error
  }
}

/** Works out the rooms of the events of a type; undefined for a type without rooms. */
export function compileRooms(type: string, { topic, rooms }: DeclaredRooms): RoomsOf | undefined {
  if (rooms.length === 0) return undefined
  let compiled: { topicOf: Template; roomTemplates: Template[] } | undefined
  return (payload) => {
    // An app may have thousands of types, and few of them get events before the types change again.
    compiled ??= {
      topicOf: topic === null ? () => type : parseTemplate(topic),
      roomTemplates: rooms.map(parseTemplate),
    }
    const names = new Set<string>()
    for (const template of compiled.roomTemplates) {
      const name = template(payload)
      if (name !== undefined) names.add(name)
    }
    if (names.size === 0) return undefined
    return { topic: compiled.topicOf(payload) ?? type, rooms: [...names].join(' ') }
  }
}

/** In JSON as JavaScript writes it: an escaped zero character, or half of a surrogate pair standing alone. */
const NOT_STORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f]..)/

/** Whether Postgres takes a JSON text as `jsonb`, as far as its characters go. @param json from JSON.stringify */
export const isStorable = (json: string): boolean => !NOT_STORABLE.test(json)

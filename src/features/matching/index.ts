/**
 * Which events a subscription gets, in which order and how fast: what is decided here is decided from values alone,
 * without a database.
 */
export { compileFilter, PayloadFilter } from './filter.ts'
export { memberOf } from './filter-operators.ts'
export { Batching, Concurrency, Ordering, RateLimit, type Flow } from './flow.ts'
export { compilePatterns, EventPattern, PATTERN_FORM, type Matches } from './patterns.ts'
export { compileRoute, type Route } from './route.ts'

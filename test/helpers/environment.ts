import { Redis } from 'ioredis'
import pg from 'pg'

const required = (name: string): string => {
  const value = process.env[name]
  if (value === undefined)
    throw new Error('Run tests with `npm test -- FILE`: it starts the Postgres and the Redis they need.')
  return value
}

/**
 * A new database cloned from the migrated template.
 *
 * @returns its URL
 */
export async function createTestDatabase(): Promise<string> {
  const host = required('TEST_POSTGRES_DIR')
  const admin = new pg.Client({ host, user: 'heliograph', database: 'postgres' })
  await admin.connect()
  const name = `test_${crypto.randomUUID().replaceAll('-', '')}`
  try {
    // Cloning needs the template to itself for a moment; other test files wait here.
    await admin.query('select pg_advisory_lock(1)')
    await admin.query(`create database ${name} template heliograph_template strategy file_copy`)
  } finally {
    await admin.end()
  }
  return `postgres://heliograph@localhost/${name}?host=${encodeURIComponent(host)}`
}

/** @returns the URL of an empty logical database of the run's Redis */
export async function createTestRedis(): Promise<string> {
  const port = Number(required('TEST_REDIS_PORT'))
  const redis = new Redis(port, '127.0.0.1')
  const number = await redis.incr('databases given out')
  redis.disconnect()
  return `redis://127.0.0.1:${port}/${number}`
}

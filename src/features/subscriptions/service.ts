import { sql } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { raiseVersion } from '../apps/index.ts'
import type { Clock } from '../../platform/time/clock.ts'
import { parseDurations } from '../../platform/time/durations.ts'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { SecretBox } from '../../platform/secrets/secret-box.ts'
import { faultOfSecret, newSigningSecret } from '../../platform/secrets/signing.ts'
import { TransformationError } from '../../platform/transformation/transformation.ts'
import {
  fillIn,
  hide,
  type DestinationKinds,
  type DestinationSettings,
  type HiddenSettings,
} from '../destinations/index.ts'
import { compileFilter, type Flow } from '../matching/index.ts'
import { cancelOwed } from './cancel.ts'
import { isVisible, select, toSubscription, type SubscriptionBody } from './rows.ts'
import { oldSecretsContext, secretContext } from './secret-contexts.ts'
import { openSecrets, openSettings, sealSettings } from './secrets.ts'
import type { RotatedSecret, SecretRotation, SubscriptionSchemas } from './schemas.ts'

const DEFAULT_OVERLAP_SECONDS = 86_400
/** A rotation beyond so many ends the oldest at once, so that the header of signatures stays short. */
const MAX_OLD_SECRETS = 5
const MAX_RETRY_WAIT_MS = 30 * 86_400_000

type Input = Static<SubscriptionSchemas['SubscriptionChange']>

/**
 * Subscriptions of an app. Every change raises the version in the app's log head, under the lock that orders
 * appends: so a subscription gets every event after its creation and none from before it.
 *
 * @param options.faultOfUrl what is wrong with a URL that is to be called
 * @param options.checkTransformation throws a TransformationError for an expression that cannot be used
 */
export function createSubscriptionService(options: {
  db: Database
  secrets: SecretBox
  clock: Clock
  destinations: DestinationKinds
  checkTransformation: (expression: string) => void
  faultOfUrl: (url: string) => string | undefined
}) {
  const { db, secrets, clock } = options

  async function get(appId: string, id: string): Promise<SubscriptionBody> {
    const row = await select(db, appId).where('s.id', '=', id).executeTakeFirst()
    if (!row) throw notFound('subscription')
    return toSubscription(row)
  }

  /** @throws Problem for what the schema of the request cannot say */
  function check({ filter, transformation, retrySchedule, ordering, batching, destination }: Input): void {
    if (filter) compileFilter(filter)
    if (transformation) checkTransformation(transformation)
    if (retrySchedule) checkSchedule(retrySchedule)
    if (ordering && batching)
      throw new Problem('invalid-subscription', 'ordering and batching exclude each other.')
    if (batching && destination && destination.type !== 'webhook') {
      throw new Problem('invalid-subscription', 'Only webhooks take several events in one request.')
    }
  }

  function checkTransformation(expression: string): void {
    try {
      options.checkTransformation(expression)
    } catch (error) {
      if (!(error instanceof TransformationError)) throw error
      throw new Problem('invalid-transformation', error.message, [
        { pointer: '/transformation', detail: error.message },
      ])
    }
  }

  function split(destination: DestinationSettings, before?: HiddenSettings) {
    const kind = options.destinations.of(destination.type)
    const settings = kind.check(fillIn(destination, kind.hidden, before))
    const { url } = settings
    const unreachable = typeof url === 'string' ? options.faultOfUrl(url) : undefined
    if (unreachable !== undefined) {
      throw new Problem('invalid-destination', `The url of the destination ${unreachable}.`, [
        { pointer: '/destination/url', detail: unreachable },
      ])
    }
    return hide({ ...settings, type: destination.type }, kind.hidden)
  }

  return {
    get,

    /** @returns the subscription with its signing secret, which is shown this once */
    async create(appId: string, input: Static<SubscriptionSchemas['NewSubscription']>) {
      check(input)
      const { shown, hidden } = split(input.destination)
      const secret = input.secret ?? newSigningSecret()
      refuseBadSecret(secret)
      const id = newId()
      await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'subscriptions_version')
        await transaction
          .insertInto('subscriptions')
          .values({
            app_id: appId,
            id,
            name: input.name,
            event_patterns: input.eventPatterns,
            destination: JSON.stringify(shown),
            sealed_secret: secrets.seal(secret, secretContext(appId, id)),
            sealed_settings: sealSettings(secrets, appId, id, hidden),
            ...optionColumns(input, null),
          })
          .execute()
        await transaction
          .insertInto('subscription_states')
          .values({ app_id: appId, subscription_id: id })
          .execute()
      })
      return { ...(await get(appId, id)), secret }
    },

    async list(appId: string, size: number, after: string | undefined): Promise<Page<SubscriptionBody>> {
      const rows = await select(db, appId)
        .$if(after !== undefined, (query) => query.where('s.id', '>', after as string))
        .orderBy('s.id')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toSubscription), size, (subscription) => subscription.id)
    },

    /** Deliveries that are pending already go to the new destination, in the new way. */
    async change(appId: string, id: string, change: Input): Promise<SubscriptionBody> {
      await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'subscriptions_version')
        const row = await transaction
          .selectFrom('subscriptions')
          .select(['app_id', 'id', 'flow', 'destination', 'sealed_settings'])
          .where(isVisible(appId, id))
          .executeTakeFirst()
        if (!row) throw notFound('subscription')
        const flow = row.flow as Flow | null
        check({ destination: row.destination as DestinationSettings, ...flow, ...change })
        const parts =
          change.destination &&
          split(
            change.destination,
            isSamePlace(row.destination as DestinationSettings, change.destination)
              ? openSettings(secrets, row)
              : undefined,
          )
        await transaction
          .updateTable('subscriptions')
          .set({
            updated_at: sql`clock_timestamp()`,
            ...(change.name !== undefined && { name: change.name }),
            ...(change.eventPatterns && { event_patterns: change.eventPatterns }),
            ...(parts && {
              destination: JSON.stringify(parts.shown),
              sealed_settings: sealSettings(secrets, appId, id, parts.hidden),
            }),
            ...optionColumns(change, flow),
          })
          .where(isVisible(appId, id))
          .execute()
        if (isFlowChange(change)) await feedAnew(transaction, appId, id, change)
      })
      return get(appId, id)
    },

    /** What it is still owed is cancelled, except for requests under way; those end as they end. */
    async remove(appId: string, id: string): Promise<void> {
      const removed = await db.transaction().execute(async (transaction) => {
        await raiseVersion(transaction, appId, 'subscriptions_version')
        return transaction
          .updateTable('subscriptions')
          .set({ deleted_at: sql`now()` })
          .where(isVisible(appId, id))
          .executeTakeFirst()
      })
      if (removed.numUpdatedRows === 0n) throw notFound('subscription')
      await cancelOwed(db, appId, id)
    },

    /** For a time requests are signed with the secrets before it too, so that receivers can change over. */
    async rotateSecret(
      appId: string,
      id: string,
      {
        secret = newSigningSecret(),
        overlapSeconds = DEFAULT_OVERLAP_SECONDS,
      }: Static<typeof SecretRotation>,
    ): Promise<Static<typeof RotatedSecret>> {
      refuseBadSecret(secret)
      const now = clock.now()
      const old = await db.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('subscriptions')
          .select(['app_id', 'id', 'sealed_secret', 'sealed_settings', 'sealed_old_secrets'])
          .where(isVisible(appId, id))
          .forUpdate()
          .executeTakeFirst()
        if (!row) throw notFound('subscription')
        const opened = openSecrets(secrets, row)
        const valid = [{ secret: opened.secret, until: now + overlapSeconds * 1000 }, ...opened.oldSecrets]
          .filter((each) => each.until > now && each.secret !== secret)
          .slice(0, MAX_OLD_SECRETS)
        await transaction
          .updateTable('subscriptions')
          .set({
            updated_at: sql`clock_timestamp()`,
            sealed_secret: secrets.seal(secret, secretContext(appId, id)),
            sealed_old_secrets:
              valid.length === 0 ? null : secrets.seal(JSON.stringify(valid), oldSecretsContext(appId, id)),
          })
          .where(isVisible(appId, id))
          .execute()
        return valid
      })
      const until = Math.max(0, ...old.map((each) => each.until))
      return { secret, oldSecretsUntil: until === 0 ? null : new Date(until).toISOString() }
    },
  }
}

export type SubscriptionService = ReturnType<typeof createSubscriptionService>

function refuseBadSecret(secret: string): void {
  const fault = faultOfSecret(secret)
  if (fault === undefined) return
  throw new Problem('validation-failed', 'The secret cannot be used. Leave it out to have one made.', [
    { pointer: '/secret', detail: fault },
  ])
}

/**
 * Whether hidden settings may be kept by a change: they are not sent elsewhere by somebody who does not know
 * them, nor are they of use to another kind of destination.
 */
function isSamePlace(before: DestinationSettings, after: DestinationSettings): boolean {
  return before.type === after.type && originOf(before) === originOf(after)
}

/** Undefined where the address is hidden itself, or there is none. */
const originOf = ({ url }: DestinationSettings): string | undefined =>
  typeof url === 'string' && URL.canParse(url) ? new URL(url).origin : undefined

function checkSchedule(schedule: readonly string[]): void {
  const errors = schedule.flatMap((wait, index) =>
    parseDurations(wait).some((ms) => ms > MAX_RETRY_WAIT_MS)
      ? [{ pointer: `/retrySchedule/${index}`, detail: 'must be at most 30d' }]
      : [],
  )
  if (errors.length > 0) throw new Problem('validation-failed', 'A wait of the schedule is too long.', errors)
}

const isFlowChange = ({ rateLimit, concurrency, ordering, batching }: Input): boolean =>
  [rateLimit, concurrency, ordering, batching].some((value) => value !== undefined)

/** What waits is looked at again, and not kept any longer than the new rate limit would. */
async function feedAnew(db: Database, appId: string, id: string, { rateLimit }: Input): Promise<void> {
  const { requests = 1, perSeconds = 1 } = rateLimit ?? {}
  const longestMs = rateLimit ? (perSeconds * 1000) / requests : 0
  await sql`
    update subscription_states
       set feed_at = now(),
           next_slot_at = case when ${rateLimit === undefined} then next_slot_at
                               else least(next_slot_at, now() + ${longestMs}::float8 * interval '1 millisecond') end
     where app_id = ${appId} and subscription_id = ${id}`.execute(db)
}

/** @param before the flow so far, of which a change may change a part */
function optionColumns(input: Input, before: Flow | null) {
  const { filter, transformation, retrySchedule, rateLimit, concurrency, ordering, batching } = input
  const given = Object.entries({ rateLimit, concurrency, ordering, batching }).filter(
    ([, value]) => value !== undefined,
  )
  const flow = Object.fromEntries(
    Object.entries({ ...before, ...Object.fromEntries(given) }).filter(([, value]) => value !== null),
  )
  return {
    ...(filter !== undefined && { filter: filter && JSON.stringify(filter) }),
    ...(transformation !== undefined && { transformation }),
    ...(retrySchedule !== undefined && { retry_schedule: retrySchedule }),
    ...(given.length > 0 && { flow: Object.keys(flow).length === 0 ? null : JSON.stringify(flow) }),
  }
}

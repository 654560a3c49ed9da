import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import type { Apps } from '../apps/index.ts'
import type { Events } from '../events/index.ts'
import { appWithoutKey } from './app-without-key.ts'
import { inquiryRoutes } from './routes.ts'
import { createInquiryService } from './service.ts'

/**
 * The contact form's inquiries (SPEC section 4).
 *
 * @throws Error for INQUIRIES_APP_ID that names no app
 */
export async function createInquiries(
  { db, snowflakeIds, rateLimits, config }: Platform,
  { apps, events }: { apps: Apps; events: Events },
): Promise<Feature> {
  return {
    routes: inquiryRoutes({
      service: createInquiryService(db, events.appender, snowflakeIds),
      rateLimits,
      perMinute: config.INQUIRIES_PER_MINUTE,
      allowedOrigins: config.allowedOrigins,
      appIdWithoutKey: await appWithoutKey(config, apps.apps),
    }),
  }
}

import { defineExtension } from 'heliograph/extension'
import { appWithoutKey } from './app-without-key.ts'
import { declared } from './declared.ts'
import { inquiryRoutes } from './routes.ts'
import { createInquiryService } from './service.ts'

/** The contact form's inquiries (SPEC section 4). */
export const inquiries = defineExtension({
  ...declared,
  async setup({ db, appendWith, snowflakeIds, rateLimits, settings, allowedOrigins, apps }) {
    return {
      routes: inquiryRoutes({
        service: createInquiryService(db, appendWith, snowflakeIds),
        rateLimits,
        perMinute: settings.INQUIRIES_PER_MINUTE,
        allowedOrigins,
        appIdWithoutKey: await appWithoutKey(settings.INQUIRIES_APP_ID, apps),
      }),
    }
  },
})

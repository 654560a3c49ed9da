import type { Feature } from '../../feature.ts'
import { inquiryRoutes } from './routes.ts'
import { createInquiryService } from './service.ts'

export const inquiries: Feature = {
  name: 'inquiries',
  routes: ({ db, appender, snowflakeIds, rateLimits, config, inquiriesAppId }) =>
    inquiryRoutes({
      service: createInquiryService(db, appender, snowflakeIds),
      rateLimits,
      perMinute: config.INQUIRIES_PER_MINUTE,
      allowedOrigins: config.allowedOrigins,
      appIdWithoutKey: inquiriesAppId,
    }),
}

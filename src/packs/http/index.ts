import { defineExtension } from 'heliograph/extension'
import { http as platform } from './platform.ts'

/** Any HTTP service as a messaging platform. */
export const http = defineExtension({ name: 'http', platforms: [platform] })

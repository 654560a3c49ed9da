import { defineExtension } from 'heliograph/extension'
import { slack as destination } from './destination.ts'
import { slack as platform } from './platform.ts'

/** Incoming webhooks of Slack as destinations, and its apps as a messaging platform. */
export const slack = defineExtension({ name: 'slack', destinations: [destination], platforms: [platform] })

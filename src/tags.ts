/** The parts of the HTTP API, in the order in which one reads about them. */
export const TAGS: readonly { name: string; description: string }[] = [
  {
    name: 'Events',
    description:
      'What happened, appended once and never changed. Begin here: append an event, read it back, watch the log live.',
  },
  {
    name: 'Event types',
    description:
      'Names and JSON Schemas of events, built-in and your own. A type is needed only to have payloads checked, or events shown in rooms.',
  },
  {
    name: 'Subscriptions',
    description:
      'Who is told of which events, and how: patterns and a filter choose, a destination gets, and limits keep it from being overrun.',
  },
  {
    name: 'Deliveries',
    description:
      'Each event on its way to a subscription, with every attempt and its answer. Look here when something did not arrive.',
  },
  {
    name: 'Recoveries',
    description:
      'Replays of the log, and retries or discards of many deliveries at once, for after an outage or a mistake.',
  },
  {
    name: 'Observation',
    description:
      'Rooms that browsers observe live, over WebSocket or server-sent events, with short-lived tokens instead of keys.',
  },
  {
    name: 'Entities',
    description: 'Users, their accounts on platforms, and files: what the edges of events point to.',
  },
  {
    name: 'Messages',
    description:
      'Conversations on WhatsApp, SMS, Slack and the like: messages are sent and received as events, through connections to platforms.',
  },
  {
    name: 'Identities',
    description:
      'One person with several accounts: codes by which users prove that two of them are theirs, so that they become one.',
  },
  {
    name: 'Inquiries',
    description: 'What visitors send through the contact form of a website.',
  },
  {
    name: 'GraphQL',
    description:
      'The same events, entities and subscriptions as a graph, to be read and changed in one request.',
  },
  {
    name: 'Apps',
    description:
      'Tenants of the service and their API keys. The admin key makes them; each sees only what is its own.',
  },
  {
    name: 'Signing keys',
    description: 'The key pairs that sign the webhooks of an app, and how receivers get their public parts.',
  },
  {
    name: 'Operations',
    description: 'Whether the service is well, and this description of it; open to everyone.',
  },
]

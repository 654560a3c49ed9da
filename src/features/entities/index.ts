import type { Feature } from '../../feature.ts'
import { resourceRoutes } from '../../platform/http/resource-routes.ts'
import { createFileService } from './files.ts'
import { createPlatformUserService } from './platform-users.ts'
import * as schemas from './schemas.ts'
import { createUserService } from './users.ts'

export {
  identitiesOf,
  platformUsersOf,
  readEntities,
  type Entity,
  type EntityRef,
  type FindEntity,
} from './lookup.ts'
export {
  createPlatformUserService,
  insert as insertPlatformUser,
  knownAs,
  lockIds,
  rename as renamePlatformUser,
  type KnownAs,
  type PlatformUserService,
} from './platform-users.ts'
export { File, PlatformUser, User } from './schemas.ts'
export { readSentEdges, sentEdges, type SentEdges } from './sent-edges.ts'
export { createUserService, type UserService } from './users.ts'

const access = { read: 'entities:read', write: 'entities:write' } as const
const tag = 'Entities'
const stays = 'Edges of events that point to it stay, and point to nothing.'

/** Who and what events are about (SPEC section 2). */
export const entities: Feature = {
  name: 'entities',
  routes:
    ({ db }) =>
    async (app) => {
      await app.register(
        resourceRoutes({
          path: '/users',
          tag,
          words: { one: 'user', many: 'users' },
          name: { one: 'User', many: 'Users' },
          access,
          schemas: {
            item: schemas.User,
            create: schemas.NewUser,
            change: schemas.UserChange,
            query: schemas.UserQuery,
          },
          problems: [],
          onDelete: `Only one without platform users. ${stays}`,
          service: createUserService(db),
        }),
      )
      await app.register(
        resourceRoutes({
          path: '/platform-users',
          tag,
          words: { one: 'platform user', many: 'platform users' },
          name: { one: 'PlatformUser', many: 'PlatformUsers' },
          access,
          schemas: {
            item: schemas.PlatformUser,
            create: schemas.NewPlatformUser,
            change: schemas.PlatformUserChange,
            query: schemas.PlatformUserQuery,
          },
          problems: ['conflict', 'unknown-reference'],
          onDelete: stays,
          service: createPlatformUserService(db),
        }),
      )
      await app.register(
        resourceRoutes({
          path: '/files',
          tag,
          words: { one: 'file', many: 'files' },
          name: { one: 'File', many: 'Files' },
          access,
          schemas: {
            item: schemas.File,
            create: schemas.NewFile,
            change: schemas.FileChange,
            query: schemas.FileQuery,
          },
          problems: [],
          onDelete: stays,
          service: createFileService(db),
        }),
      )
    },
}

import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import { resourceRoutes } from '../../platform/http/resource-routes.ts'
import { createFileService, type FileService } from './files.ts'
import { createPlatformUserService, type PlatformUserService } from './platform-users.ts'
import * as schemas from './schemas.ts'
import { createUserService, type UserService } from './users.ts'

export {
  identitiesOf,
  platformUsersOf,
  readEntities,
  type Entity,
  type EntityRef,
  type FindEntity,
} from './lookup.ts'
export {
  insert as insertPlatformUser,
  knownAs,
  lockIds,
  rename as renamePlatformUser,
  type KnownAs,
  type PlatformUserService,
} from './platform-users.ts'
export type { FileService, FileSource, PlatformFile } from './files.ts'
export { File, PlatformUser, User } from './schemas.ts'
export { createSentEdgesReader, sentEdges, type ReadSentEdges, type SentEdges } from './sent-edges.ts'
export type { UserService } from './users.ts'

const access = { read: 'entities:read', write: 'entities:write' } as const
const tag = 'Entities'
const stays = 'Edges of events that point to it stay, and point to nothing.'

export interface Entities extends Feature {
  users: UserService
  platformUsers: PlatformUserService
  files: FileService
}

/** Who and what events are about (SPEC section 2). */
export function createEntities({ db, config }: Platform): Entities {
  const users = createUserService(db)
  const platformUsers = createPlatformUserService(db)
  const files = createFileService(db, config.publicUrl)
  return {
    users,
    platformUsers,
    files,
    async routes(app) {
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
          asWritten: ['attributes'],
          problems: [],
          about: {
            create:
              'For people whom you know before a platform does, such as customers from a database of yours. Whoever writes over a platform first is made a user without this.',
            list: 'Go through all users, merged ones and your own side among them.',
            get: 'Look up who an edge or a platform user points to. `mergedInto` tells who this user turned out to be.',
            change:
              'Keep the name, or what you know of somebody, up to date. `attributes` are replaced as a whole.',
            remove: `Only a user without platform users can be deleted. ${stays}`,
          },
          service: users,
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
          about: {
            create:
              'For somebody whose id on a platform you know before they wrote, so that messages can be sent to them. Give `userId` when it is one of your users.',
            list: 'Find somebody by their id on a platform, or all accounts of one user or of one connection.',
            get: 'Look up who wrote a message, or got it, as the platform knows them.',
            change:
              'Correct the name or the picture; the platform may tell of another name with the next message.',
            remove: `For an account that you may not keep any longer. ${stays}`,
          },
          service: platformUsers,
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
          asWritten: ['metadata'],
          problems: [],
          about: {
            create:
              'Do this before appending an event that is about a file: the event points to it with an edge. The content itself stays where it is.',
            list: 'See what is known of all files that events may point to, page by page.',
            get: 'Look up what an edge to a file points to: its name, type and size, and where its content is.',
            change:
              'Do this when the file has moved, or more is known of it. `metadata` is replaced as a whole.',
            remove: `Only what Heliograph knows of the file is deleted, not its content. ${stays}`,
          },
          service: files,
        }),
      )
    },
  }
}

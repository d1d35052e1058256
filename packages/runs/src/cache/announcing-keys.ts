import type { ApiKey, KeyStore } from "../store.ts";
import { announced } from "./announce.ts";
import type { RunCache } from "./open-caching.ts";

/** Keys that let nobody in any more once their revocation is answered. */
export class AnnouncingKeys implements KeyStore {
  readonly #keys: KeyStore;
  readonly #cache: RunCache;

  constructor(keys: KeyStore, cache: RunCache) {
    this.#keys = keys;
    this.#cache = cache;
  }

  /** That a key is unknown is not cached, so there is nothing to tell. */
  create(key: ApiKey): Promise<void> {
    return this.#keys.create(key);
  }

  findBySha256(sha256: string): Promise<ApiKey | null> {
    return this.#keys.findBySha256(sha256);
  }

  list(): Promise<readonly ApiKey[]> {
    return this.#keys.list();
  }

  async revoke(id: string): Promise<boolean> {
    const key = (await this.#keys.list()).find((one) => one.id === id);
    const forget = async () => key && (await this.#cache.families.apiKey.invalidate(key.sha256));
    return await announced(this.#keys.revoke(id), forget, forget);
  }

  wereEverMade(): Promise<boolean> {
    return this.#keys.wereEverMade();
  }
}

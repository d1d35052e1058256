/** The store was written by a newer program. Nothing was read or changed; start the newer program. */
export class StoreVersionError extends Error {
  override readonly name = "StoreVersionError";
  readonly code = "store_version";
  readonly retryable = false;
  /** The schema version that the store has. */
  readonly found: number;
  /** The newest that this program knows. */
  readonly supported: number;

  constructor(found: number, supported: number) {
    super(
      `The store has schema version ${found}, and this program knows versions up to ${supported}. Start the newer program that wrote it.`,
    );
    this.found = found;
    this.supported = supported;
  }
}

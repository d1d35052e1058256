/**
 * Flags for a Node that is measured. A minute after load has become light V8 gives memory back, and throws away the code of what was not in use
 * at that moment. For the minute that follows a request takes half as much again or more, in whichever contender it is just then.
 */
export const KEEPS_CODE = ["--no-memory-reducer"];

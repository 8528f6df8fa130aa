// The server's "now": the wall clock, or with clock.mode=stream the time of the newest event, which may be years ago.

const DAY_MS = 86400000;
const OUTDATED_MS = 60000;
let told = null; // by the newest reply that has it: {now, at}, by the server's and by the browser's clock

export const noteNow = (now) => (told = { now, at: Date.now() });

// Whether no reply has told the server's now within the last minute.
export const isOutdated = () => told === null || Date.now() - told.at > OUTDATED_MS;

// Whether the server's now is far from the wall clock: stream time of old events, which stands still between them.
export const isStreamTime = () => told !== null && Math.abs(told.now - told.at) > DAY_MS;

export function serverNow() {
  if (told === null) return Date.now();
  return isStreamTime() ? told.now : told.now + Date.now() - told.at;
}

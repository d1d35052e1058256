import { cancelRun } from "./cancel-run.ts";
import type { Submission } from "./submit-book.ts";

/**
 * Deletes a book: it is gone at once, its runs are cancelled, and the texts of answers about it are erased. False when there is no
 * such book. Cut short after it was deleted, the dispatcher goes on with it.
 */
export async function deleteBook(submission: Submission, user: string, id: string): Promise<boolean> {
  const { books, ledger, dispatch } = submission.store;
  if (!(await books.get(user, id))) return false;
  const erasure = { of: "book", bookId: id } as const;
  // First: nobody would come back for it, were this to be cut short between the two.
  await ledger.erase(user, erasure);
  if (!(await books.delete(user, id))) return false;
  for (const run of await dispatch.liveRunsOfBook(id)) await cancelRun(submission, user, run.id);
  // What was sent in between, and what is on its way.
  await ledger.erase(user, erasure);
  return true;
}

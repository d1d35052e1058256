import { type NextFunction, type Request, type RequestHandler, type Response, Router } from "express";
import { withPatience } from "../deadline.ts";
import { ClientGone, Problem } from "../errors.ts";
import { recordOf } from "../request-record.ts";
import type { Services } from "../routes/route.ts";
import { send } from "../send.ts";
import { completeChat } from "./chat-completions.ts";
import { errorAnswer, loggable } from "./errors.ts";

export const OPENAI_PATH = "/v1";

/** The routes of OpenAI's API that any of its clients can use, answered by the models that are configured, each answer paid for once. */
export function createOpenAi(services: Services): Router {
  const { answers } = services;
  const router = Router();
  const users = new WeakMap<Request, string>();

  const identify: RequestHandler = async (request, _response, next) => {
    const record = recordOf(request);
    const caller = await withPatience(services.identify(request));
    record.fields.user = caller.user;
    await services.limits.take(caller, [request.method === "GET" ? "reads" : "completions"], record);
    users.set(request, caller.user);
    next();
  };

  router.use(identify);
  router.get("/models", (request, response) => {
    recordOf(request).route = `GET ${OPENAI_PATH}/models`;
    const data = (answers?.upstreams.models ?? []).map((id) => ({
      id,
      object: "model",
      created: 0,
      owned_by: "mythic",
    }));
    send(request, response, { status: 200, json: { object: "list", data } });
  });
  router.post("/chat/completions", async (request, response) => {
    recordOf(request).route = `POST ${OPENAI_PATH}/chat/completions`;
    if (answers === null) {
      throw new Problem("model_not_configured", "Set MYTHIC_MODEL and OPENAI_API_KEY, or MYTHIC_UPSTREAMS.");
    }
    await completeChat(answers, { request, response, user: users.get(request) ?? "" });
  });
  router.use(() => {
    throw new Problem("not_found", "There is nothing at this address.");
  });
  // Express knows an error handler by its four parameters.
  router.use((error: unknown, request: Request, response: Response, _next: NextFunction) => {
    if (error instanceof ClientGone || request.socket.destroyed) {
      response.destroy();
      return;
    }
    const answer = errorAnswer(error);
    const { id, fields } = recordOf(request);
    fields.code = answer.code;
    if (answer.status >= 500)
      services.logger.error({ err: loggable(error), req_id: id, code: answer.code }, "request failed");
    send(request, response, answer);
  });
  return router;
}

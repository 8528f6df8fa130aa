// A shop's calls with the generated types: `make typescript` checks that they fit, and that wrong ones do not.
import createClient from "openapi-fetch";
import type { components, paths } from "./tidewise";

const client = createClient<paths>({ baseUrl: "http://localhost:8080", headers: { "X-API-Key": "..." } });

type Recommendations = components["schemas"]["RecommendationsOut"];

/** The items for a user's start page, best first. */
export async function startPage(userId: string): Promise<Recommendations["items"]> {
  const { data, error } = await client.GET("/v1/users/{user_id}/recommendations", {
    params: { path: { user_id: userId }, query: { n: 8, scenario: "homepage" } },
  });
  if (error) throw new Error(error.error.message);
  return data.items;
}

/** Tell that a user bought an item of an answer; sent again under the same id, it counts once. */
export async function bought(userId: string, itemId: string, answer: Recommendations): Promise<void> {
  const { data, error } = await client.POST("/v1/interactions", {
    body: {
      event_id: `order-${userId}-${itemId}`,
      user_id: userId,
      item_id: itemId,
      type: "purchase",
      recommendation_id: answer.recommendation_id,
    },
  });
  if (error) throw new Error(error.error.message);
  if (data.rejected > 0) throw new Error(data.results[0]?.error?.message ?? "rejected");
}

/** Change the catalogue and a user. */
export async function maintain(): Promise<void> {
  await client.PATCH("/v1/items/{item_id}", { params: { path: { item_id: "lamp" } }, body: { stock: 0 } });
  await client.PATCH("/v1/users/{user_id}", {
    params: { path: { user_id: "ann" } },
    body: { attributes: { plan: "premium", age: null } },
  });
}

export async function wrongCalls(): Promise<void> {
  // @ts-expect-error: an unknown path
  await client.GET("/v1/user/{user_id}/recommendations", { params: { path: { user_id: "ann" } } });
  // @ts-expect-error: the id of the path is missing
  await client.GET("/v1/users/{user_id}/recommendations", { params: { path: {} } });
  // @ts-expect-error: a stock is a number
  await client.PATCH("/v1/items/{item_id}", { params: { path: { item_id: "lamp" } }, body: { stock: "none" } });
}

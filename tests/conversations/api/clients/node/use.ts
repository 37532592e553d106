// Uses the generated types: marks an unread conversation as read, and prints what the API answered.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };
const [, , baseUrl, token] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Token ${token}` } });

const list = await client.GET("/api/v1/conversations/", { params: { query: { unread: "true" } } });
const names: string[] = list.data!.results.map((row: components["schemas"]["Conversation"]) => row.name!);
const id: number = list.data!.results[0].id;

const read = await client.POST("/api/v1/conversations/{id}/mark-read/", { params: { path: { id } } });
const unread: number = read.data!.unread_count!;

const missing = await client.GET("/api/v1/messages/{id}/", { params: { path: { id: 999 } } });
const code: components["schemas"]["Problem"]["code"] | undefined = missing.error?.code;

console.log(JSON.stringify({ names, unread, code }));

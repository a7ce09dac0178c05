//! What travels: WebSocket frames both ways, close codes, the codes of problem documents.

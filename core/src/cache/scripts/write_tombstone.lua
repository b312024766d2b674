-- Marks a conversation deleted: the mark answers readers, and nothing that is still in flight brings anything back.
--
--   ARGV[6]  the version at which it was deleted
--   Reply    1
touch()
write_tombstone(ARGV[6])
return 1

"""The read side: the filter language, records, histories, groups, differences."""

/*
 *  releasing_dendritic_error_synapse.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "releasing_dendritic_error_synapse.h"

namespace nest
{

void
ReleasingDendriticErrorSynapse::get_status( Dictionary& d ) const
{
  Base::get_status( d );
  key_.get_status( d );
  d[ names::size_of ] = static_cast< long >( sizeof( *this ) );
}

void
ReleasingDendriticErrorSynapse::set_status( const Dictionary& d, ConnectorModel& cm )
{
  ReleaseKey changed = key_;
  changed.set_status( d, cm.get_name() );
  Base::set_status( d, cm );
  key_ = changed;
}

}  // namespace nest

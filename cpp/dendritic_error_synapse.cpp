/*
 *  dendritic_error_synapse.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "dendritic_error_synapse.h"

#include <cmath>

#include "connection_manager.h"
#include "exceptions.h"

namespace nest
{

template < size_t n_traces >
void
DendriticErrorCommonProperties< n_traces >::get_status( Dictionary& d ) const
{
  CommonSynapseProperties::get_status( d );
  d[ "eta" ] = eta;
  d[ "tau_s" ] = tau_s;
  if ( n_traces > 1 )
  {
    d[ "tau_m" ] = tau_m;
  }
  d[ "tau_Delta" ] = tau_Delta;
  bounds.get_status( d );
}

template < size_t n_traces >
void
DendriticErrorCommonProperties< n_traces >::set_status( const Dictionary& d, ConnectorModel& cm )
{
  DendriticErrorCommonProperties changed = *this;
  d.update_value( "eta", changed.eta );
  d.update_value( "tau_s", changed.tau_s );
  if ( n_traces > 1 )
  {
    d.update_value( "tau_m", changed.tau_m );
  }
  d.update_value( "tau_Delta", changed.tau_Delta );
  changed.bounds.set_status( d, cm.get_name() );

  if ( not std::isfinite( changed.eta ) )
  {
    throw BadProperty( String::compose( "eta must be a finite number, got %1 (%2)", changed.eta, cm.get_name() ) );
  }
  const bool may_lack_trace = n_traces == 0;
  if ( not(
         ( changed.tau_s > 0.0 or ( may_lack_trace and changed.tau_s == 0.0 ) ) and std::isfinite( changed.tau_s ) ) )
  {
    throw BadProperty( String::compose( may_lack_trace ? "tau_s must be positive, or 0 for no trace, got %1 ms (%2)"
                                                       : "tau_s must be positive, got %1 ms (%2)",
      changed.tau_s,
      cm.get_name() ) );
  }
  if ( not( changed.tau_Delta >= 0.0 and std::isfinite( changed.tau_Delta ) ) )
  {
    throw BadProperty( String::compose(
      "tau_Delta must be positive, or 0 for no filter, got %1 ms (%2)", changed.tau_Delta, cm.get_name() ) );
  }
  if ( not( changed.tau_m > 0.0 and std::isfinite( changed.tau_m ) ) )
  {
    throw BadProperty( String::compose( "tau_m must be positive, got %1 ms (%2)", changed.tau_m, cm.get_name() ) );
  }
  const bool changes_rule =
    changed.eta != eta or changed.tau_s != tau_s or changed.tau_m != tau_m or changed.tau_Delta != tau_Delta;
  if ( changes_rule and kernel().connection_manager.get_num_connections( cm.get_syn_id() ) > 0 )
  {
    throw BadProperty(
      String::compose( "eta and the time constants of %1 cannot change while there are connections of it; set them "
                       "before Connect, make a copy with CopyModel, or switch learning off with the parameter "
                       "'learning' of the postsynaptic cells",
        cm.get_name() ) );
  }
  CommonSynapseProperties::set_status( d, cm );
  eta = changed.eta;
  tau_s = changed.tau_s;
  tau_m = changed.tau_m;
  tau_Delta = changed.tau_Delta;
  bounds = changed.bounds;
}

template < size_t n_traces >
void
DendriticErrorSynapse< n_traces >::move_far_( ErrorArchive& archive,
  const Position& p,
  const double count,
  const Rule& rule )
{
  move_to_< false >( archive, p, count, rule );
}

template class DendriticErrorCommonProperties< 0 >;
template class DendriticErrorCommonProperties< 1 >;
template class DendriticErrorCommonProperties< 2 >;

template void DendriticErrorSynapse< 1 >::move_far_( ErrorArchive&, const Position&, double, const Rule& );
template void DendriticErrorSynapse< 2 >::move_far_( ErrorArchive&, const Position&, double, const Rule& );

}  // namespace nest
